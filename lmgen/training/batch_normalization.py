"""
Batch normalisation of a recurrent layer's input products while it trains: to mean 0 and variance 1 over a
batch, for each unit of each gate, and then by a gain.

    x = α (W v - mean) / sqrt(variance + ε) + b     mean, variance, α and b are (G*m)

Mean and variance are those of W v over all steps and streams of the batch; α is trained, and b is the layer's
own bias. Laurent, Pereyra, Brakel, Zhang and Bengio 2016, whose finding is that this helps where normalising
U h, too, does not; Cooijmans et al. 2017 normalise both, with statistics for each step.

The same x is a plain input product with other weights:

    W' = α W / sqrt(variance + ε)     b' = b - α mean / sqrt(variance + ε)

So all fast ways to compute a layer stay as they are. Evaluation takes moving averages of the statistics, and
a saved model has W' and b' by these: it is a network without normalisation.
"""

from collections.abc import Mapping

import torch
from torch import Tensor, nn

from lmgen.models.network.cells import EPSILON
from lmgen.training.optimization.averaging import newest_share

DECAY = 0.9
"""Share of the moving averages that stays at each batch, after the first."""

INITIAL_GAIN = 1.0
"""The gain before training: each input product then has variance 1 over the batch."""


class BatchNormalization(nn.Module):
    """Batch normalisation of one layer. Its statistics are buffers, which checkpoints hold."""

    mean: Tensor
    variance: Tensor
    batches: Tensor

    def __init__(self, size: int) -> None:
        """Args: size, the number G*m of input products."""
        super().__init__()
        self.gain = nn.Parameter(torch.full((size,), INITIAL_GAIN))
        self.register_buffer("mean", torch.zeros(size))
        self.register_buffer("variance", torch.ones(size))
        self.register_buffer("batches", torch.zeros(()))

    def forward(
        self, arrays: Mapping[str, Tensor], values: Tensor, counted: Tensor | None = None
    ) -> dict[str, Tensor]:
        """
        A layer's arrays for a window, with W' and b' in place of W and b.

        In training the statistics are those of the window, which the moving averages take in; in evaluation,
        and where fewer than two positions count, they are the moving averages.

        Args:
            arrays: the layer's, by their names without its prefix.
            values: what the layer reads, (T, B, n).
            counted: the positions that count, (T, B); None: all.
        """
        if not self.training:
            return self.folded(arrays)
        rows = values.flatten(0, 1) if counted is None else values[counted]
        if len(rows) < 2:
            return self.folded(arrays)
        weight = arrays["weight_input"]
        # Never in 16 bits, whose range a window's sums of squares exceed.
        with torch.autocast(values.device.type, enabled=False):
            mean, variance = _statistics(weight, rows.to(weight.dtype))
        self._remember(mean.detach(), variance.detach() * (len(rows) / (len(rows) - 1)))
        return self._folded(arrays, mean, variance)

    def folded(self, arrays: Mapping[str, Tensor]) -> dict[str, Tensor]:
        """A layer's arrays with W' and b' by the moving averages."""
        return self._folded(arrays, self.mean, self.variance)

    def _folded(self, arrays: Mapping[str, Tensor], mean: Tensor, variance: Tensor) -> dict[str, Tensor]:
        scale = self.gain * (variance + EPSILON).rsqrt()
        weight, bias = scale[:, None] * arrays["weight_input"], arrays["bias"] - scale * mean
        return {**arrays, "weight_input": weight, "bias": bias}

    def _remember(self, mean: Tensor, variance: Tensor) -> None:
        """Take a batch's statistics into the moving averages, whose bias to the first values is corrected."""
        self.batches += 1
        share = newest_share(int(self.batches), DECAY)
        self.mean.lerp_(mean, share)
        self.variance.lerp_(variance, share)


def _statistics(weight: Tensor, rows: Tensor) -> tuple[Tensor, Tensor]:
    """
    Mean and variance of W v over the rows v, (N, n), for each of the G*m products.

    From the covariance of v, where that is smaller than the products: a fraction of the work.
    """
    mean = rows.mean(0)
    centred = rows - mean
    if rows.shape[1] > len(weight):
        variance = (centred @ weight.T).square().mean(0)
    else:
        covariance = centred.T @ centred / len(rows)
        variance = (weight @ covariance * weight).sum(1).clamp_min(0)
    return weight @ mean, variance
