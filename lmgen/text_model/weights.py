"""A network's weights: looked at, set by hand, drawn at random, and written in other forms."""

from collections.abc import Callable, Mapping
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, Self, overload

from lmgen.calls import python_call
from lmgen.data.run_folder import files_with
from lmgen.data.verified import check_kept_text
from lmgen.errors import ConfigError, ModelError
from lmgen.files import refuse_existing
from lmgen.settings import names_of, refuse_unknown
from lmgen.text.given import opened as text_or_path
from lmgen.text.sources import Text, open_text
from lmgen.text_model.opened import OpenedModel

if TYPE_CHECKING:
    from numpy.typing import ArrayLike

    from lmgen.arrays import Float32Array
    from lmgen.evaluation.exporting import ExportedNgrams, ExportedWeights
    from lmgen.vectors.table import Vectors


class WithWeights(OpenedModel):
    """What can be done with the weights of a model."""

    __slots__ = ()

    @classmethod
    def untrained(
        cls,
        text: str | Path | Text,
        *,
        like: OpenedModel | None = None,
        init: str = "orthogonal",
        init_scale: float | None = None,
        init_memory: int | None = None,
        seed: int = 0,
        **network: Any,
    ) -> Self:
        """
        A network with random weights for the characters of a text, to compare a trained one with.

        Args:
            text: a path, or a text with a line end in it.
            like: take the tokenizer of this model instead.
            init: how the matrices of recurrent layers start: `orthogonal` or `uniform`.
            init_scale: factor on orthogonal matrices (1), or the range of uniform ones (0.08).
            init_memory: up to how many tokens the gates remember at first; None: as the cell says.
            seed: of the random weights.
            network: settings of its shape, such as `cell`, `hidden_size` and `layers`.

        Raises:
            ConfigError: a setting is unknown or out of range.
            CorpusError: the text cannot be read, or is empty.
        """
        from lmgen.inspection.untrained import untrained_network
        from lmgen.models.network.config import NetworkConfig
        from lmgen.tokenizers.config import TokenizerConfig
        from lmgen.tokenizers.registry import train_tokenizer

        known = names_of(NetworkConfig)
        refuse_unknown(network, known, "", f"known are {', '.join(sorted(known))}", ("like", "init", "seed"))
        config = NetworkConfig(**network)
        if like is None:
            given = text_or_path(text, "text")
            opened = given if isinstance(given, Text) else open_text(given)
            tokenizer = train_tokenizer(opened.chunks, TokenizerConfig(tokenizer="char"))
        else:
            tokenizer = like.tokenizer
        model = untrained_network(
            config, tokenizer, init=init, init_scale=init_scale, init_memory=init_memory, seed=seed
        )
        return cls(model, tokenizer, Path("untrained"), {}, is_saved=False)

    @property
    def tensors(self) -> "dict[str, Float32Array]":
        """
        Copies of a network's weights by name, such as `layers.0.weight_input`; `lmgen info` lists them.

        Gates are blocks of rows, in the order of the cell's `gates` in models/network/cells.py.

        Raises:
            ModelError: the model is no network.
        """
        from lmgen.inspection.states import network_of

        return {name: array.copy() for name, array in network_of(self.model).parameters.items()}

    def with_tensors(self, tensors: "Mapping[str, ArrayLike]") -> Self:
        """
        The network with other weights, such as some chosen by hand; this one stays as it is.

            model.with_tensors({"layers.0.bias": [0.0, 0.5, -1.0]}).next("It was")

        Args:
            tensors: arrays or nested lists, by the names of `tensors`; weights that are not named are kept.

        Raises:
            ModelError: the model is no network, or an array has no place in it, another shape or values that
                are not finite numbers.
        """
        from lmgen.inspection.states import network_of
        from lmgen.models.network.model import with_parameters

        changed = with_parameters(network_of(self.model), tensors)
        return replace(self, model=changed, training={}, weights="float32", is_saved=False, device="cpu")

    def vectors(self) -> "Vectors":
        """
        The embedding of the network as word vectors: `model.vectors().near("king - man + woman")`.

        Raises:
            ModelError: the model has no embedding.
        """
        from lmgen.vectors.models import vectors_of

        return vectors_of(self.model, self.tokenizer, str(self.run.folder if self.run else self.path))

    @overload
    def export(
        self, path: str | Path, *, to: Literal["arpa"], overwrite: bool = False
    ) -> "ExportedNgrams": ...

    @overload
    def export(
        self,
        path: str | Path,
        *,
        to: Literal["float16", "int8"],
        text: str | Path | Text | None = None,
        overwrite: bool = False,
        on_note: Callable[[str], None] = lambda _: None,
    ) -> "ExportedWeights": ...

    @overload
    def export(
        self,
        path: str | Path,
        *,
        to: Literal["arpa", "float16", "int8"] | None = None,
        text: str | Path | Text | None = None,
        overwrite: bool = False,
        on_note: Callable[[str], None] = lambda _: None,
    ) -> "ExportedNgrams | ExportedWeights": ...

    @python_call
    def export(
        self,
        path: str | Path,
        *,
        to: Literal["arpa", "float16", "int8"] | None = None,
        text: str | Path | Text | None = None,
        overwrite: bool = False,
        on_note: Callable[[str], None] = lambda _: None,
    ) -> "ExportedNgrams | ExportedWeights":
        """
        Write an n-gram model as an ARPA file, or a network with its weights in fewer bytes.

        Args:
            path: the file to write. An ARPA file is compressed if its name ends in `.gz`; a network's file is
                a model like any other.
            to: `arpa`; or 2 bytes for each weight (`float16`), or 1 (`int8`). None: `arpa` for an n-gram
                model and for a file called `.arpa` or `.arpa.gz`, else `int8`.
            text: score the network before and after on the first 500,000 characters of this text, given as
                in `perplexity`. None: of the run's held-out text, if there is one.
            overwrite: replace an existing file.
            on_note: called with what was chosen for `to`, and what a reader of the scores should know.

        Raises:
            ConfigError: `to` is something else, a text is given for an ARPA file, or the file is the model's
                or the text's.
            CorpusError: the text cannot be read.
            ModelError: the model has no n-grams, or no weights; it is not saved; the file exists; or a weight
                is too large for float16.
            WriteError: the file cannot be written.
        """
        from lmgen.evaluation.exporting import export_arpa, export_weights, usual_form

        if not self.is_saved:
            raise ModelError("the model has no file yet: save it (`save`), then load and export that file")

        out = Path(path)
        form, why = (to, None) if to else usual_form(self.model, out)
        if form == "arpa" and text is not None:
            raise ConfigError("--text goes with --to float16 or int8; leave it out, or give --to")
        refuse_existing(out, overwrite=overwrite, read=[*files_with(self.path), text])
        exported: ExportedNgrams | ExportedWeights
        if form == "arpa":
            exported = export_arpa(self._saved, self.path, out)
        else:
            if text is None and self.run is not None:
                text = self.run.held_out_text
                if text is not None:
                    check_kept_text(self.run, text)
            opened = None if text is None else self._opened(text_or_path(text, "text"), None, None, on_note)
            exported = export_weights(self._saved, self.path, out, form, opened, on_note)
        if why:
            on_note(why)
        return exported
