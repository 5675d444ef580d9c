"""What goes on inside a network while it reads: states, gates, gradients, and how far back it looks."""

from collections.abc import Callable, Iterable, Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from lmgen.calls import python_call
from lmgen.models.base import LanguageModel
from lmgen.text.sources import Text
from lmgen.text_model.opened import OpenedModel

if TYPE_CHECKING:
    from lmgen.inspection.gates import GateShare
    from lmgen.inspection.gradients import GradientNorm
    from lmgen.inspection.memory import ContextLoss
    from lmgen.inspection.states import Pool, ReadBlock, TextVector
    from lmgen.inspection.texts import Block
    from lmgen.text.units import Unit


class Inspecting(OpenedModel):
    """A look inside a model."""

    __slots__ = ()

    @python_call
    def states(
        self,
        text: str | Path | Text | None = None,
        *,
        unit: "Unit | None" = None,
        layers: Sequence[int] | None = None,
        units: Sequence[int] | None = None,
        names: Sequence[str] | None = None,
        on_note: Callable[[str], None] = lambda _: None,
    ) -> "Iterator[ReadBlock]":
        """
        Read a text with the network, and give its states and gates at each token, block by block.

            for read in model.states("book.txt", names=["h"]):
                read.block.ids, read.series["layers.0.h"]

        Args:
            text: as in `perplexity`; None: the run's held-out text.
            unit: what is read afresh: the `document`, each `line` or each `record`; None: what is one text
                for the model.
            layers: numbers of recurrent layers, from 0; None: all.
            units: numbers of units, from 0; None: all.
            names: `h`, `c` and the gates that `lmgen info --cells` names; None: all.
            on_note: called with what a reader should know, a sentence each.

        Raises:
            ConfigError: the network has no such layer, unit or name.
            CorpusError: the text cannot be read, or is empty.
            ModelError: the model is no network.
        """
        from lmgen.inspection.states import Selection, StateReader

        reader = StateReader(self.model, Selection(layers, units, names))
        return reader.read(self._blocks(text, unit, on_note))

    @python_call
    def state_vectors(
        self,
        text: str | Path | Text | None = None,
        *,
        pool: "Pool" = "last",
        unit: "Unit | None" = None,
        layers: Sequence[int] | None = None,
        units: Sequence[int] | None = None,
        names: Sequence[str] | None = None,
        on_note: Callable[[str], None] = lambda _: None,
    ) -> "Iterator[TextVector]":
        """
        One vector for each text: features for other programs.

            X = [each.series["layers.0.h"] for each in model.state_vectors("lines.txt", unit="line")]

        Args:
            text: as in `states`, as the other arguments.
            pool: the `last` token's states and gates, or the `mean` over all tokens of a text.
            unit: what is one text.
            layers: as in `states`.
            units: as in `states`.
            names: as in `states`.
            on_note: as in `states`.
        """
        from lmgen.inspection.states import Selection, StateReader

        reader = StateReader(self.model, Selection(layers, units, names))
        return reader.vectors(self._blocks(text, unit, on_note), pool)

    @python_call
    def gates(
        self,
        text: str | Path | Text | None = None,
        *,
        unit: "Unit | None" = None,
        layers: Sequence[int] | None = None,
        units: Sequence[int] | None = None,
        names: Sequence[str] | None = None,
        on_note: Callable[[str], None] = lambda _: None,
    ) -> "list[GateShare]":
        """
        How often each gate of each unit is above 0.9 or below 0.1 over a text; arguments as in `states`.

        Raises:
            ModelError: the model is no network, or has no gates.
        """
        from lmgen.inspection.gates import gate_shares
        from lmgen.inspection.states import Selection, StateReader

        reader = StateReader(self.model, Selection(layers, units, names))
        return gate_shares(reader, self._blocks(text, unit, on_note))

    @python_call
    def gradients(
        self,
        text: str | Path | Text | None = None,
        *,
        distance: int = 100,
        positions: int = 64,
        on_note: Callable[[str], None] = lambda _: None,
    ) -> "list[GradientNorm]":
        """
        The norms of d loss(t) / d h(t-k), and of d loss(t) / d c(t-k), for k from 0 to `distance`.

        Args:
            text: as in `states`.
            distance: the largest k, in tokens.
            positions: over how many t, spread evenly over the text, norms are averaged.
            on_note: as in `states`.

        Raises:
            CorpusError: the text cannot be read, or is too short.
            ModelError: the model is no network.
        """
        from lmgen.inspection.gradients import gradient_norms
        from lmgen.inspection.states import network_of
        from lmgen.inspection.texts import ids_of

        network = network_of(self.model)
        ids = ids_of(self.tokenizer, self._one_text(text, on_note), on_note)
        return gradient_norms(network, ids, distance=distance, positions=positions)

    @python_call
    def memory(
        self,
        text: str | Path | Text | None = None,
        *,
        contexts: Iterable[int] = (0, 1, 2, 4, 8, 16, 32, 64, 128, 256),
        positions: int = 512,
        baseline: bool | None = None,
        on_note: Callable[[str], None] = lambda _: None,
    ) -> "list[ContextLoss]":
        """
        The loss as a function of the tokens of context that the model was given.

        Args:
            text: as in `states`; for any model.
            contexts: numbers of tokens that are read before each that is predicted.
            positions: how many tokens are predicted, spread evenly over the text.
            baseline: the run's n-gram baseline beside the model; None: if there is one.
            on_note: as in `states`.

        Raises:
            CorpusError: the text cannot be read, or is too short.
            ModelError: a baseline was asked for, but there is none.
        """
        from lmgen.inspection.memory import context_losses
        from lmgen.inspection.texts import ids_of

        ids = ids_of(self.tokenizer, self._one_text(text, on_note), on_note)
        models: list[LanguageModel] = [self.model]
        if self.has_baseline if baseline is None else baseline:
            models.append(self.baseline())
        return context_losses(models, ids, contexts=contexts, positions=positions)

    def _blocks(
        self, text: str | Path | Text | None, unit: "Unit | None", on_note: Callable[[str], None]
    ) -> "Iterator[Block]":
        from lmgen.inspection.texts import blocks_of

        return blocks_of(self.tokenizer, self._one_text(text, on_note), unit, on_note)

    def _one_text(self, text: str | Path | Text | None, on_note: Callable[[str], None]) -> Text:
        [opened] = self.texts(*([] if text is None else [text]), on_note=on_note)
        return opened
