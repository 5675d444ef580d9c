"""
Means of the weights that training passes through, evaluated and saved in place of the last ones.

Late in training with a constant learning rate the weights wander around a minimum; their mean is nearer to it
(Polyak and Juditsky 1992). Two kinds:

- all weights from some update on, each counting the same (averaged stochastic gradient descent). Where that
  begins is decided by the evaluations: NT-ASGD, Merity, Keskar and Socher 2017, section 3, algorithm 1
- the latest ones counting most: an exponential moving average, corrected for having no past at its beginning
  (Kingma and Ba 2015, section 7.2)
"""

from collections.abc import Mapping, Sequence

from torch import Tensor
from torch.optim.swa_utils import AveragedModel

from lmgen.training.network import Network


def begin_average(network: Network, decay: float | None) -> AveragedModel:
    """
    An average of weights whose first are those of the network now; `update_parameters(network)` adds to it.

    Args:
        network: left as it is. The average is a network of its own, `module`.
        decay: of an exponential moving average; None: all weights count the same.
    """

    def move(
        averages: tuple[Tensor, ...] | list[Tensor],
        weights: tuple[Tensor, ...] | list[Tensor],
        averaged: Tensor | int,
    ) -> None:
        share = newest_share(int(averaged) + 1, decay)
        for average, weight in zip(averages, weights, strict=True):
            average.lerp_(weight, share)

    average = AveragedModel(network, multi_avg_fn=move)
    average.update_parameters(network)
    return average


def newest_share(count: int, decay: float | None) -> float:
    """
    What the newest of `count` weights counts in their mean, all together being 1.

    1 / n where all count the same; (1 - d) / (1 - dⁿ) where each counts d times as much as the one after it.
    """
    return 1 / count if decay is None else (1 - decay) / (1 - decay**count)


def averaging_begins(validation_nats: Sequence[float], patience: int) -> bool:
    """
    Whether the last evaluation triggers averaging: it is worse than the best of those that had been made
    `patience` evaluations before it.
    """
    *before, last = validation_nats
    return len(before) > patience and last > min(before[: len(before) - patience])


def average_tensors(average: AveragedModel | None) -> dict[str, Tensor]:
    """What a checkpoint keeps of an average, by name; nothing if there is none."""
    return {} if average is None else average.state_dict()


def restored_average(
    tensors: Mapping[str, Tensor], network: Network, decay: float | None
) -> AveragedModel | None:
    """
    The average whose tensors a checkpoint kept.

    Args:
        tensors: as `average_tensors` gave them.
        network: which they are averages of.
        decay: as for `begin_average`.
    """
    if not tensors:
        return None
    average = begin_average(network, decay)
    average.load_state_dict(tensors)
    return average
