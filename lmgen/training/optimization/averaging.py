"""
Averages of the weights over many updates, evaluated and saved in place of the last weights.

With a constant learning rate the weights end up wandering around a minimum; their mean is nearer to it
(Polyak and Juditsky 1992). There are two kinds:

- averaged stochastic gradient descent: the plain mean of the weights from some update on. Evaluations decide
  when it begins: NT-ASGD, Merity, Keskar and Socher 2017, section 3, algorithm 1
- an exponential moving average, with the bias correction of Kingma and Ba 2015, section 7.2
"""

from collections.abc import Mapping, Sequence

from torch import Tensor, nn
from torch.optim.swa_utils import AveragedModel


def begin_average(network: nn.Module, decay: float | None) -> AveragedModel:
    """
    Start an average with the network's present weights; `update_parameters(network)` adds later ones.

    The running statistics of batch normalisation are averaged like weights.

    Args:
        network: left as it is. The average is a network of its own, `module`.
        decay: of an exponential moving average; None: a plain mean.
    """

    def move(
        averages: tuple[Tensor, ...] | list[Tensor],
        weights: tuple[Tensor, ...] | list[Tensor],
        averaged: Tensor | int,
    ) -> None:
        share = newest_share(int(averaged) + 1, decay)
        for average, weight in zip(averages, weights, strict=True):
            average.lerp_(weight, share)

    average = AveragedModel(network, multi_avg_fn=move, use_buffers=True)
    average.update_parameters(network)
    return average


def newest_share(count: int, decay: float | None) -> float:
    """
    The share of the newest of `count` weights in their average.

    1 / n in a plain mean; (1 - d) / (1 - dⁿ) where each counts d times as much as the one after it.
    """
    return 1 / count if decay is None else (1 - decay) / (1 - decay**count)


def averaging_begins(validation_nats: Sequence[float], patience: int | None) -> bool:
    """
    Whether the last evaluation triggers averaging.

    It does if it is worse than the best of all that were made more than `patience` evaluations before it.
    None: evaluations do not trigger averaging.
    """
    if patience is None:
        return False
    *before, last = validation_nats
    return len(before) > patience and last > min(before[: len(before) - patience])


def average_tensors(average: AveragedModel | None) -> dict[str, Tensor]:
    """The tensors of an average by name, for a checkpoint; empty if there is no average."""
    return {} if average is None else average.state_dict()


def restored_average(
    tensors: Mapping[str, Tensor], network: nn.Module, decay: float | None
) -> AveragedModel | None:
    """
    Rebuild an average from its tensors.

    Args:
        tensors: as `average_tensors` gave them.
        network: the network whose weights were averaged.
        decay: as for `begin_average`.
    """
    if not tensors:
        return None
    average = begin_average(network, decay)
    average.load_state_dict(tensors)
    return average
