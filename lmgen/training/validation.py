"""The loss on the validation text, in a way that can be interrupted."""

from collections.abc import Callable

from lmgen.arrays import FloatArray, IdArray
from lmgen.data.answers import Answers
from lmgen.errors import NumericalError
from lmgen.evaluation.scoring import mean_nats
from lmgen.models.base import State
from lmgen.training.network import TorchLanguageModel


class StopRequested(Exception):  # noqa: N818 - not an error
    """Training was asked to stop."""


def validation_nats(
    model: TorchLanguageModel,
    ids: IdArray,
    limit: int,
    should_stop: Callable[[], bool],
    place: str,
    answers: Answers | None = None,
) -> float:
    """
    Nats per token of a model on the validation text.

    Args:
        model: the network that is trained.
        ids: the text, (N,).
        limit: score only this many tokens from its start.
        should_stop: asked before each block of the text.
        place: where training stands, for the message of an error.
        answers: how the answers are found that alone are scored; None: all tokens are.

    Raises:
        NumericalError: the loss is not finite.
        StopRequested: `should_stop` said yes.
    """
    interruptible = _Interruptible(model, should_stop)
    try:
        return mean_nats(interruptible, ids, limit, answers)[0]
    except NumericalError as error:
        raise NumericalError(f"the validation loss is no longer a finite number {place}") from error


class _Interruptible(TorchLanguageModel):
    """A model that asks before each block of a text whether to stop."""

    def __init__(self, model: TorchLanguageModel, should_stop: Callable[[], bool]) -> None:
        super().__init__(model.network, model.start_token, model.unit_end)
        self._should_stop = should_stop

    def score(self, state: State, ids: IdArray) -> tuple[FloatArray, State]:
        """Score a block, unless scoring is to stop (`StopRequested`)."""
        if self._should_stop():
            raise StopRequested
        return super().score(state, ids)
