"""
What TensorBoard shows of a run: curves, samples as it learned, and its settings (`--tensorboard`).

    loss/batch              of every tenth update's batch, nats a token or label; the next three as often
    optimization/learning_rate
    optimization/gradient_norm        of the last update, before clipping
    speed/tokens_per_second           a running mean
    loss/train, loss/validation       at each evaluation; perplexity/... are exp of them
    bits_per_character/validation
    accuracy/validation     of labels, which have no perplexity
    sample                  of each model that was saved, as text
    config                  config.toml, as text

The steps are updates. A resumed run goes on in the same curves: what was written of later steps than the
checkpoint's no longer counts, and neither does what a rollback took back.
"""

from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from lmgen.data.prepared import Prepared
from lmgen.data.run_folder import RunFolder
from lmgen.evaluation.results import exp_or_infinity
from lmgen.extras import needed
from lmgen.runs.config import RunConfig
from lmgen.runs.events import Event, Saved
from lmgen.runs.samples import sample_of
from lmgen.training.events import Evaluated, RolledBack, Stepped

if TYPE_CHECKING:
    from lmgen.training.loop import Trainer

UPDATES = 10
"""Every so many updates are written."""


def check_board(config: RunConfig) -> None:
    """
    Check before a run begins that its event files can be written, if there are to be any.

    Raises:
        MissingExtraError: tensorboard is not installed.
    """
    if config.training.tensorboard:
        needed("tensorboard", "tensorboard")


def on_board(
    events: Iterable[Event],
    run: RunFolder,
    trainer: "Trainer",
    prepared: Prepared,
    on_note: Callable[[str], None],
) -> Iterator[Event]:
    """
    Pass on the events of a run, and write what they say into event files.

    Args:
        events: from the first update on.
        run: where the files are written.
        trainer: what trains the network.
        prepared: what it trains on.
        on_note: called once if the files cannot be written, which does not end the run.
    """
    board = _Board(run, trainer, prepared, on_note)
    board.open()
    try:
        for event in events:
            board.write(event)
            yield event
    finally:
        board.close()


class _Board:
    """The event files of one call that trains; arguments are those of `on_board`."""

    def __init__(
        self, run: RunFolder, trainer: "Trainer", prepared: Prepared, on_note: Callable[[str], None]
    ) -> None:
        self._run, self._trainer, self._prepared, self._on_note = run, trainer, prepared, on_note
        self._writer: Any = None

    def open(self) -> None:
        """Begin a file; one that goes on after others takes back what they say of later steps."""
        step, goes_on = self._trainer.progress.step, self._run.tensorboard.exists()
        with self._writing():
            self._writer = self._new_writer(step if goes_on else None)
            if not goes_on:
                settings = self._run.config.read_text(encoding="utf-8")
                self._writer.add_text("config", _as_code(settings), step)

    def close(self) -> None:
        """Write what is waiting."""
        if self._writer is not None:
            with self._writing():
                self._writer.close()

    def write(self, event: Event) -> None:
        """Write what an event says, if it is one of those that are shown."""
        if self._writer is None:
            return
        with self._writing():
            match event:
                case Stepped() if event.step % UPDATES == 0:
                    self._scalars(event.step, self._of_update(event))
                case Evaluated():
                    self._scalars(event.step, self._of_evaluation(event))
                case RolledBack():
                    self._writer.close()
                    self._writer = self._new_writer(event.step)
                case Saved() if self._prepared.labels is None:
                    step = self._trainer.progress.step
                    self._writer.add_text("sample", _as_code(sample_of(event.path)), step)

    def _new_writer(self, goes_on_after: int | None) -> Any:
        from lmgen.training.event_files import event_writer

        return event_writer(self._run.tensorboard, goes_on_after)

    def _scalars(self, step: int, figures: Mapping[str, float | None]) -> None:
        for tag, value in figures.items():
            if value is not None:
                self._writer.add_scalar(tag, value, step)

    def _of_update(self, event: Stepped) -> dict[str, float | None]:
        return {
            "loss/batch": event.nats_per_token,
            "optimization/learning_rate": self._trainer.rate,
            "optimization/gradient_norm": self._trainer.state.position.gradient_norm,
            "speed/tokens_per_second": event.tokens_per_second,
        }

    def _of_evaluation(self, event: Evaluated) -> dict[str, float | None]:
        losses = {"train": event.train_nats_per_token, "validation": event.valid_nats_per_token}
        figures: dict[str, float | None] = {f"loss/{name}": nats for name, nats in losses.items()}
        if self._prepared.labels is not None:
            return {**figures, "accuracy/validation": event.valid_accuracy}
        for name, nats in losses.items():
            figures[f"perplexity/{name}"] = None if nats is None else exp_or_infinity(nats)
        if self._prepared.scored is not None and event.valid_nats_per_token is not None:
            bits = self._prepared.scored.bits_per_character(event.valid_nats_per_token)
            figures["bits_per_character/validation"] = bits
        return figures

    @contextmanager
    def _writing(self) -> Iterator[None]:
        """After a failure to write, nothing more is written."""
        try:
            yield
        except OSError as error:
            self._writer = None
            self._on_note(
                f"no more events for TensorBoard: {self._run.tensorboard} cannot be written to "
                f"({error.strerror or error}); training goes on"
            )


def _as_code(text: str) -> str:
    """A text as a block of code in Markdown, which shows it as it is."""
    lines = text.encode("utf-8", "backslashreplace").decode().split("\n")
    return "\n".join("    " + line for line in lines)
