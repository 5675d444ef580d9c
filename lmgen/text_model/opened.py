"""A model with its tokenizer, as it was opened: its file and run, where it computes, what it reads."""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field, replace
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING, Any, Self

from lmgen.data.answers import Answers
from lmgen.data.run_folder import RunFolder, find_model, run_of
from lmgen.data.verified import check_kept_text
from lmgen.errors import ConfigError, CorpusError, ModelError
from lmgen.files import behind_links, refuse_existing
from lmgen.models.base import LanguageModel
from lmgen.models.model_file import SavedModel, described, load_model, save_model
from lmgen.settings import shown
from lmgen.text.config import ReadingConfig
from lmgen.text.encodings import UTF_8
from lmgen.text.given import a_text
from lmgen.text.given import opened as text_or_path
from lmgen.text.reading import read_alike
from lmgen.text.sources import Text, is_piped, open_text
from lmgen.tokenizers.base import Tokenizer

if TYPE_CHECKING:
    from lmgen.evaluation.mixing import FittedWeights
    from lmgen.models.network.model import RecurrentModel
    from lmgen.models.ngram.model import NgramModel


DEVICES = ("cpu", "cuda")
"""Where a model in use may compute."""


def read_by_each(
    models: "Sequence[OpenedModel]", text: str | Path | Text | None
) -> "str | Path | Text | None":
    """
    A text as it can be read several times: a pipe is opened here, and kept; any other stays what it is.

    A pipe is decoded as all models read texts where they agree, and otherwise as UTF-8.

    Args:
        models: those that read it.
        text: a path, `-` for stdin, a text with a line end in it, or None.

    Raises:
        CorpusError: there is no such file or folder.
    """
    if text is None:
        return text
    given = text_or_path(text, "text")
    if isinstance(given, Text) or not is_piped(given):
        return text
    errors = {model.tokenizer.reading_errors for model in models}
    encodings = {model.tokenizer.reading.encoding for model in models}
    return open_text(
        given,
        errors=errors.pop() if len(errors) == 1 else "strict",
        encoding=encodings.pop() if len(encodings) == 1 else UTF_8,
    )


@dataclass(frozen=True, slots=True)
class OpenedModel:
    """A model, its tokenizer and where they are from."""

    model: LanguageModel
    tokenizer: Tokenizer
    path: Path
    """The model file."""

    training: dict[str, Any]
    """The file's summary of the training: corpus, steps, losses."""

    weights: str = "float32"
    """How the file stores weights (models/network/compression.py); the model's own are float32."""

    is_saved: bool = True
    """Whether `path` holds this model; a mixture made in memory has no file until `save` writes one."""

    device: str = "cpu"
    """Where a network computes: `cpu`, with numpy, or `cuda`, with torch."""

    adapted: "Callable[[], RecurrentModel] | None" = field(default=None, compare=False)
    """Gives the network with what it learned from the last text; None: the model does not adapt."""

    def __repr__(self) -> str:
        """`<TextModel lstm 2 x 512, char, V = 65, checkpoints/book>`."""
        where = (self.run.folder if self.run else self.path) if self.is_saved else "not saved"
        V = self.tokenizer.vocabulary_size
        return f"<TextModel {self.model}, {self.tokenizer.name}, V = {V}, {where}>"

    @classmethod
    def load(cls, path: str | Path | None = None) -> Self:
        """
        Open a run folder, a model file, or (None) the newest of both under `checkpoints/`.

        Raises:
            ModelError: there is none, or it is damaged or of a newer format.
        """
        file = find_model(None if path is None else Path(path))
        saved = load_model(file)
        return cls(saved.model, saved.tokenizer, file, dict(saved.training), saved.weights)

    @property
    def run(self) -> RunFolder | None:
        """The run folder that the model is in; None for a model file on its own."""
        return run_of(self.path)

    def save(self, path: str | Path, *, overwrite: bool = False) -> Self:
        """
        Save the model as one file, and open that: `model.mixed().save("mixture.safetensors")`.

        Args:
            path: the file.
            overwrite: replace an existing file.

        Raises:
            ModelError: the file exists.
            WriteError: the file cannot be written.
        """
        out = Path(path)
        refuse_existing(out, overwrite=overwrite)
        save_model(behind_links(out), self.model, self.tokenizer, self.training, self.weights)
        return type(self).load(out)

    def on_device(self, device: str) -> Self:
        """
        The same network computing elsewhere: `lmgen.load("checkpoints/book").on_device("cuda")`.

        Args:
            device: `cuda`, a GPU, which imports torch; or `cpu`, with numpy.

        Raises:
            ConfigError: it is neither, or torch finds no GPU here.
            ModelError: the model is no network.
        """
        if device not in DEVICES:
            raise ConfigError(f"device is {shown(device)}, but has to be one of {', '.join(DEVICES)}")
        if device == self.device:
            return self
        network = self.model.as_network()
        if device == "cpu" and network is not None:
            return replace(self, model=network, device=device)
        if network is None:
            raise ModelError(f"{self.model.name} is not a network, and only networks compute on a GPU")
        using = import_module("lmgen.training.using")
        return replace(self, model=using.on_device(network, device), device=device)

    @property
    def has_baseline(self) -> bool:
        """Whether the model, as saved, stands in a run that has an n-gram baseline."""
        return self.is_saved and self.run is not None and self.run.ngram.exists()

    def baseline(self, order: int | None = None) -> "NgramModel":
        """
        The n-gram baseline of the model's run; a baseline of another order is fitted on the same tokens.

        Raises:
            ModelError: the model is not in a run folder, or its run has no baseline and no order is given.
        """
        from lmgen.evaluation.baseline import baseline_of

        return baseline_of(self.path, self.tokenizer, order)

    def mixing_weights(self) -> "FittedWeights":
        """
        The weights of this model and its run's own baseline, fitted on the run's validation text.

        Raises:
            ModelError: the model is not in a run folder, or its run has no baseline.
        """
        from lmgen.evaluation.mixing import weights_of

        answers = Answers.of(self.tokenizer)
        return weights_of(self.path, self.model, self.baseline(), answers, is_saved=self.is_saved)

    def mixed(self) -> Self:
        """
        This model mixed with its run's own baseline.

        Raises:
            ModelError: the model is not in a run folder, or its run has no baseline.
        """
        from lmgen.models.mixture import MixtureModel

        members = [self.model, self.baseline()]
        return replace(self, model=MixtureModel(members, self.mixing_weights().whole), is_saved=False)

    def texts(
        self,
        *texts: str | Path | Text,
        field: str | None = None,
        encoding: str | None = None,
        reading: ReadingConfig | None = None,
        tabs: bool = False,
        once: bool = True,
        on_note: Callable[[str], None] = lambda _: None,
    ) -> list[Text]:
        """
        Open texts, decoded as the tokenizer needs it. Arguments are those of `perplexity`.

        A pipe can be read `once`; otherwise it is copied to disk while it is read for the first time.
        `reading` has the line ends and the normal form that are asked for; None: those of the texts. With
        `tabs`, or where a tab is the mark before answers, `.tsv` files are lines of text and not records.

        Raises:
            CorpusError: a text cannot be read; or none is given, and the model is in no run with a held-out
                text.
        """
        given = [
            text_or_path(text, numbered(number, texts), "give each as an argument of its own")
            for number, text in enumerate(texts, 1)
        ]
        wanted = given or [str(self._held_out(on_note))]
        opened = [self._opened(text, field, encoding, on_note, tabs=tabs, once=once) for text in wanted]
        if reading is not None:
            opened = [read_alike(text, reading) for text in opened]
        names = [text.name if isinstance(text, Text) else text for text in wanted]
        return [replace(text, name=name) for text, name in zip(opened, names, strict=True)]

    def _held_out(self, on_note: Callable[[str], None]) -> Path:
        run = self.run
        text = None if run is None else run.held_out_text
        if run is None or text is None:
            why = (
                f"{self.path} is not in a run folder with a held-out text"
                if run is None
                else f"{run.folder} has no held-out text"
            )
            raise CorpusError(f"{why}; name a text to score")
        check_kept_text(run, text)
        on_note(f"scoring the run's own held-out text, {text}")
        return text

    def _opened(
        self,
        text: str | Text,
        field: str | None,
        encoding: str | None,
        on_note: Callable[[str], None],
        *,
        tabs: bool = False,
        once: bool = True,
    ) -> Text:
        if isinstance(text, Text):
            return text
        encoding = encoding or self._usual_encoding(Path(text), on_note)
        errors = self.tokenizer.reading_errors
        tabs = field is None and (tabs or self.tokenizer.reading.marks_by_tabs)
        opened = open_text(text, field=field, errors=errors, encoding=encoding, once=once, tabs=tabs)
        for note in opened.notes:
            on_note(note)
        return opened

    def _usual_encoding(self, path: Path, on_note: Callable[[str], None]) -> str:
        """That of the model's training text; UTF-8 for the held-out texts that the run itself wrote."""
        usual = self.tokenizer.reading.encoding
        own = (self.run.valid_text, self.run.test_text) if self.run else ()
        if usual == UTF_8 or path.absolute() in [text.absolute() for text in own]:
            return UTF_8
        on_note(f"reading {path} as {usual}, as the model's training text; --encoding utf-8 otherwise")
        return usual

    def tokenize(self, text: str) -> list[int]:
        """The token ids of a text."""
        a_text(text, "text")
        return self.tokenizer.encode(text).tolist()  # type: ignore[no-any-return]

    def pieces(self, text: str) -> list[str]:
        """The tokens of a text as they are spelled, `▁` for a blank, as `lmgen tokenize --pieces` does."""
        return [self.tokenizer.escaped_piece(token) for token in self.tokenize(text)]

    def detokenize(self, tokens: Iterable[int] | Iterable[str]) -> str:
        """
        The text of tokens: what `tokenize` gave, or `pieces`.

        Raises:
            CorpusError: one of them is no token of this model.
        """
        from lmgen.tokenizers.streams import text_of_tokens

        written = list(tokens)
        pieces = bool(written) and isinstance(written[0], str)
        return "".join(text_of_tokens(self.tokenizer, [f"{token} " for token in written], pieces=pieces))

    def describe(self) -> dict[str, Any]:
        """What the model is, as JSON values: what `lmgen info --json` prints."""
        adapting = self._known_of_adapting()
        return described(self._saved, self.path, is_saved=self.is_saved) | (
            {"adapting": adapting} if adapting else {}
        )

    @property
    def _saved(self) -> SavedModel[LanguageModel]:
        """What its file holds."""
        return SavedModel(self.model, self.tokenizer, self.training, self.weights)

    def _known_of_adapting(self) -> list[dict[str, Any]]:
        """What was found of how this run's network adapts; nothing for any other model."""
        run = self.run
        if not self.is_saved or run is None or self.path != run.model or not run.adapting.exists():
            return []
        from lmgen.evaluation.learning_to_adapt import described_adapting

        return described_adapting(run)


def numbered(number: int, texts: Sequence[object]) -> str:
    """The name of one of several texts that have none."""
    return "text" if len(texts) == 1 else f"text {number}"
