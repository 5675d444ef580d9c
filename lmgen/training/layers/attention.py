"""The contexts of attention over a window, in torch: one banded matrix product for each stream."""

import torch
from torch import Tensor


def banded_contexts(shares: Tensor, seen: Tensor) -> Tensor:
    """
    The same as `contexts` of models/network/attention.py, whose loop over K takes many small operations.

    The shares of a step are put beside those places of the sequence that it looks at; with T = 3 and K = 2:

        a_1 a_2  0   0   0
         0  a_1 a_2  0   0
         0   0  a_1 a_2  0

    Args:
        shares: of each of the K states, the oldest first, (K, T, B).
        seen: the K states before the window and the T in it, (K + T, B, m).

    Returns:
        For each step the sum of K states times their shares, (T, B, m).
    """
    reach, steps, streams = shares.shape
    places = torch.arange(reach, device=shares.device) + torch.arange(steps, device=shares.device)[:, None]
    band = shares.new_zeros(streams, steps, reach + steps)
    band = band.scatter(2, places.expand(streams, -1, -1), shares.permute(2, 1, 0))
    return torch.bmm(band.to(seen.dtype), seen.transpose(0, 1)).transpose(0, 1)
