"""
A language model with its tokenizer: text in, text and figures out. What `lmgen.load` gives.

The work is done in models/, evaluation/ and generation/. Each method here is one call of theirs, and imports
them only when it is called.
"""

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, TypedDict, Unpack, overload

from lmgen.calls import python_call
from lmgen.data.answers import Answers
from lmgen.data.run_folder import RunFolder, find_model, run_of
from lmgen.errors import ConfigError, CorpusError, ModelError
from lmgen.files import refuse_existing
from lmgen.generation.config import SamplingConfig
from lmgen.models.base import LanguageModel
from lmgen.models.model_file import SavedModel, described, load_model, save_model
from lmgen.settings import names_of, refuse_unknown, shown, whole_number
from lmgen.text.config import ReadingConfig
from lmgen.text.encodings import UTF_8
from lmgen.text.given import a_text, each_text, refuse_surrogates, text_of
from lmgen.text.given import opened as text_or_path
from lmgen.text.reading import read_alike
from lmgen.text.sources import Text, open_text
from lmgen.text.units import UNIT_END
from lmgen.tokenizers.base import Tokenizer

if TYPE_CHECKING:
    from numpy.typing import ArrayLike

    from lmgen.arrays import Float32Array
    from lmgen.evaluation.comparison import By, Score
    from lmgen.evaluation.exporting import ExportedNgrams, ExportedWeights
    from lmgen.evaluation.mixing import FittedWeights
    from lmgen.evaluation.novelty import Novelty
    from lmgen.evaluation.pairs import PairResults
    from lmgen.evaluation.results import LineScore, TextScore, TokenScore, WordScore
    from lmgen.evaluation.rows import BlankWith
    from lmgen.evaluation.tables import Scores
    from lmgen.generation.answers import AnswerResults
    from lmgen.generation.completion import Completion
    from lmgen.generation.next import Continuation, NextToken
    from lmgen.inspection.gates import GateShare
    from lmgen.inspection.gradients import GradientNorm
    from lmgen.inspection.memory import ContextLoss
    from lmgen.inspection.states import Pool, ReadBlock, TextVector
    from lmgen.inspection.texts import Block
    from lmgen.models.network.model import RecurrentModel
    from lmgen.models.ngram.model import NgramModel
    from lmgen.text.units import Unit
    from lmgen.vectors.table import Vectors


DEVICES = ("cpu", "cuda")
"""Where a model in use may compute."""


class Compared(TypedDict, total=False):
    """The keyword arguments of `TextModel.perplexity` beside `by`."""

    unit: "Unit | None"
    blank_with: "BlankWith | None"
    baseline: bool | None
    order: int | None
    orders: Iterable[int]
    mix: bool
    adapt: bool
    adapt_step: str | None
    adapt_rate: float | None
    adapt_every: int | None
    adapt_decay: float | None
    adapt_across: bool
    cache: bool
    cache_size: int | None
    cache_sharpness: float | None
    cache_share: float | None
    save_adapted: str | Path | None
    exact: bool
    field: str | None
    encoding: str | None
    newlines: str
    normalize: str
    on_note: Callable[[str], None]


@dataclass(frozen=True, slots=True)
class TextModel:
    """A model in use: `model.sample("def ")`, `model.score(text)`, `model.next("To be or not to")`."""

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
    def load(cls, path: str | Path | None = None) -> "TextModel":
        """
        Open a run folder, a model file, or (None) the newest of both under `checkpoints/`.

        Raises:
            ModelError: there is none, or it is damaged or of a newer format.
        """
        file = find_model(None if path is None else Path(path))
        saved = load_model(file)
        return cls(saved.model, saved.tokenizer, file, dict(saved.training), saved.weights)

    @classmethod
    def untrained(
        cls,
        text: str | Path | Text,
        *,
        like: "TextModel | None" = None,
        init: str = "orthogonal",
        init_scale: float | None = None,
        init_memory: int | None = None,
        seed: int = 0,
        **network: Any,
    ) -> "TextModel":
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

    def with_tensors(self, tensors: "Mapping[str, ArrayLike]") -> "TextModel":
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

    def on_device(self, device: str) -> "TextModel":
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
    def run(self) -> RunFolder | None:
        """The run folder that the model is in; None for a model file on its own."""
        return run_of(self.path)

    def save(self, path: str | Path, *, overwrite: bool = False) -> "TextModel":
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
        save_model(out, self.model, self.tokenizer, self.training, self.weights)
        return TextModel.load(out)

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

        return weights_of(self.path, self.model, self.baseline(), Answers.of(self.tokenizer))

    def mixed(self) -> "TextModel":
        """
        This model mixed with its run's own baseline.

        Raises:
            ModelError: the model is not in a run folder, or its run has no baseline.
        """
        from lmgen.evaluation.mixing import weights_of
        from lmgen.models.mixture import MixtureModel

        baseline = self.baseline()
        weights = weights_of(self.path, self.model, baseline, Answers.of(self.tokenizer)).whole
        return replace(self, model=MixtureModel([self.model, baseline], weights), is_saved=False)

    @python_call
    def adapting(
        self,
        *,
        adapt: bool = True,
        mix: bool = False,
        adapt_step: str | None = None,
        adapt_rate: float | None = None,
        adapt_every: int | None = None,
        adapt_decay: float | None = None,
        cache: bool = False,
        cache_size: int | None = None,
        cache_sharpness: float | None = None,
        cache_share: float | None = None,
        on_note: Callable[[str], None] = lambda _: None,
    ) -> "TextModel":
        """
        This network as a model that learns from what it reads: a text to complete, or to go on after.

            model.adapting().sample("To be", learn_from_itself=True)
            model.adapting(adapt=False, cache=True).next("To be or not to")

        Args:
            adapt: take gradient steps; False: with a cache only.
            mix: mix it with the n-gram counts of its run, which grow if it adapts.
            adapt_step: as in `perplexity`, as those after it.
            adapt_rate: as there.
            adapt_every: as there.
            adapt_decay: as there.
            cache: give it a cache of what it reads, as there.
            cache_size: as there.
            cache_sharpness: as there.
            cache_share: as there.
            on_note: called with what a user should know.

        Raises:
            ConfigError: neither `adapt` nor `cache` is true.
            ModelError: it is no network, or its run has no baseline to mix it with.
        """
        from lmgen.evaluation.adapting import AdaptingModels
        from lmgen.inspection.states import network_of
        from lmgen.models.adapting import adapting

        network_of(self.model)
        chosen = adapting(
            adapt,
            cache,
            device=self.device,
            adapt_step=adapt_step,
            adapt_rate=adapt_rate,
            adapt_every=adapt_every,
            adapt_decay=adapt_decay,
            cache_size=cache_size,
            cache_sharpness=cache_sharpness,
            cache_share=cache_share,
        )
        if chosen is None:
            raise ConfigError("adapt=False leaves only a cache to learn with: give cache=True")
        baseline = self.baseline() if mix else None
        models = AdaptingModels(
            self.model,
            baseline,
            self.tokenizer,
            self.run if self.is_saved else None,
            chosen,
            mix=mix,
            in_step=False,
            on_note=on_note,
        )
        model = models.for_text(validation=False)[-1]
        return replace(self, model=model, is_saved=False, adapted=models.adapted_network if adapt else None)

    def save_adapted(self, path: str | Path) -> "TextModel":
        """
        Save the network with what it learned from the last text, and open that.

            model = lmgen.load("checkpoints/book").adapting()
            model.sample(letters)
            model.save_adapted("letters.safetensors")

        Args:
            path: the file.

        Raises:
            ModelError: the model does not adapt, or has read nothing; or the file exists.
            WriteError: the file cannot be written.
        """
        if self.adapted is None:
            raise ModelError("this model learns nothing from what it reads: `adapting` gives one that does")
        out = Path(path)
        refuse_existing(out, overwrite=None, option="path")
        save_model(out, self.adapted(), self.tokenizer, {**self.training, "adapted_to": "a prompt"})
        return TextModel.load(out)

    @overload
    def sample(
        self,
        prompt: str = "",
        *,
        num: None = None,
        stop: Sequence[str] = (),
        echo: bool = True,
        **settings: Any,
    ) -> str: ...

    @overload
    def sample(
        self, prompt: str = "", *, num: int, stop: Sequence[str] = (), echo: bool = True, **settings: Any
    ) -> list[str]: ...

    @python_call
    def sample(
        self,
        prompt: str = "",
        *,
        num: int | None = None,
        stop: Sequence[str] = (),
        echo: bool = True,
        **settings: Any,
    ) -> str | list[str]:
        """
        Complete a text: `model.sample("def ", length=200, temperature=0.8)`.

        Args:
            prompt: the text to complete; empty: from scratch.
            num: give a list of so many completions, sampled side by side; None: one text.
            stop: end before any of these texts.
            echo: begin the result with the prompt.
            settings: `length`, `temperature`, `top_k`, `top_p`, `min_p`, `repetition_penalty`, `seed`, as in
                generation/config.py.

        Raises:
            ConfigError: a setting is unknown or out of range.
        """
        if not isinstance(prompt, str):
            raise ConfigError(
                f"prompt is {shown(prompt)}, but has to be a str; `complete` takes many prompts"
            )
        completions = self.complete([prompt], num=1 if num is None else num, stop=stop, **settings)
        texts = [prompt + each.text if echo else each.text for each in completions]
        return texts[0] if num is None else texts

    @python_call
    def complete(
        self,
        prompts: Iterable[str],
        *,
        num: int = 1,
        lines: bool = False,
        stop: Sequence[str] = (),
        first: int = 0,
        **settings: Any,
    ) -> "Iterator[Completion]":
        """
        Complete each of many prompts `num` times, many side by side; completions are yielded in order.

        Args:
            prompts: the texts to complete; they are taken as they are needed.
            num: completions per prompt.
            lines: end a completion at the end of its line, too.
            stop: end before any of these texts.
            first: number of completions that earlier calls with the same seed have given, if this one
                continues them.
            settings: as for `sample`.
        """
        from lmgen.generation.sampler import complete

        config = _sampling(settings, "num", "lines", "first", "stop", "prompts", "echo", "prompt")
        return complete(
            self.model,
            self.tokenizer,
            each_text(prompts, "prompts"),
            config,
            num=whole_number(num, "num"),
            lines=lines,
            stop=stop,
            first=first,
        )

    @python_call
    def stream(self, prompt: str = "", *, stop: Sequence[str] = (), **settings: Any) -> Iterator[str]:
        """Complete a text piece by piece, as it is generated; `length=0` never ends."""
        from lmgen.generation.sampler import stream

        config = _sampling(settings, "stop", "prompt")
        return stream(self.model, self.tokenizer, a_text(prompt, "prompt"), config, stop=stop)

    @overload
    def next(self, text: str, top: int = 10) -> "list[NextToken]": ...

    @overload
    def next(self, text: str, *, of: Iterable[str], relative: bool = False) -> "list[Continuation]": ...

    @python_call
    def next(
        self, text: str, top: int = 10, *, of: Iterable[str] | None = None, relative: bool = False
    ) -> "list[NextToken] | list[Continuation]":
        """
        P(v | text): the `top` likeliest next tokens, best first, or given continuations of any length.

            model.next("It was the ", of=["best of times", "worst of times"])

        Args:
            text: the text so far.
            top: the number of tokens.
            of: the texts whose probabilities to give instead, in this order. A blank is put before
                one, unless there is white space already.
            relative: divide their probabilities by the sum.

        Raises:
            ConfigError: `of` is a bare str, a continuation is empty, or `top` is not 1 or more.
        """
        from lmgen.generation.next import continuations, next_tokens

        a_text(text, "text")
        if of is None:
            return next_tokens(self.model, self.tokenizer, text, whole_number(top, "top"))
        return continuations(self.model, self.tokenizer, text, each_text(of, "of"), relative=relative)

    @overload  # a str is an iterable of str, but a text
    def score(  # type: ignore[overload-overlap]
        self, text: str, *, by: Literal["document"] = "document", exact: bool = False
    ) -> "TextScore": ...

    @overload
    def score(
        self, text: Iterable[str], *, by: Literal["document"] = "document", exact: bool = False
    ) -> "Scores[TextScore]": ...

    @overload
    def score(
        self,
        text: str | Iterable[str],
        *,
        by: Literal["record", "line", "word", "token"],
        exact: bool = False,
    ) -> "Scores[Any]": ...

    @overload
    def score(
        self, text: str | Iterable[str], *, by: "By", exact: bool = False
    ) -> "TextScore | Scores[Any]": ...

    @python_call
    def score(
        self, text: str | Iterable[str], *, by: "By" = "document", exact: bool = False
    ) -> "TextScore | Scores[Any]":
        """
        How well the model predicts a text: nats, perplexity, bits per character.

            model.score("It was the best of times.").perplexity
            [each.nats for each in model.score(["It was", "It is"])]
            model.score("It was the best of times.", by="token")

        Args:
            text: at least one token; or a list or an iterator of texts, each scored on its own.
            by: what one score covers, as in `perplexity`.
            exact: read a text as one stream; otherwise a long text is read as parallel streams.

        Returns:
            The score of one whole text; else a list: of the scores of all texts, or of their lines or tokens.

        Raises:
            ConfigError: it is no text, or `by` is something else.
            CorpusError: a text is empty.
        """
        from lmgen.evaluation.perplexity import score_text, score_texts
        from lmgen.evaluation.tables import Scores

        texts = [text] if isinstance(text, str) else _texts(text)
        for number, each in enumerate(texts, 1):
            if UNIT_END in each:
                refuse_surrogates(each, f"the {_numbered(number, texts)}")
        if by == "document":
            if isinstance(text, str):
                return score_text(self.model, self.tokenizer, texts, "text", exact=exact)
            return Scores(score_texts(self.model, self.tokenizer, texts, "text", exact=exact))
        if not texts:
            return Scores()
        named = [text_of(each, _numbered(number, texts)) for number, each in enumerate(texts, 1)]
        return Scores(self.perplexity(*named, by=by, exact=exact))

    @overload
    def perplexity(
        self, *texts: str | Path | Text, by: Literal["document"] = "document", **compared: Unpack[Compared]
    ) -> "Iterator[TextScore]": ...

    @overload
    def perplexity(
        self, *texts: str | Path | Text, by: Literal["record", "line"], **compared: Unpack[Compared]
    ) -> "Iterator[LineScore]": ...

    @overload
    def perplexity(
        self, *texts: str | Path | Text, by: Literal["word"], **compared: Unpack[Compared]
    ) -> "Iterator[WordScore]": ...

    @overload
    def perplexity(
        self, *texts: str | Path | Text, by: Literal["token"], **compared: Unpack[Compared]
    ) -> "Iterator[TokenScore]": ...

    @overload
    def perplexity(
        self, *texts: str | Path | Text, by: "By", **compared: Unpack[Compared]
    ) -> "Iterator[Score]": ...

    @python_call
    def perplexity(
        self,
        *texts: str | Path | Text,
        by: "By" = "document",
        unit: "Unit | None" = None,
        blank_with: "BlankWith | None" = None,
        baseline: bool | None = None,
        order: int | None = None,
        orders: Iterable[int] = (),
        mix: bool = False,
        adapt: bool = False,
        adapt_step: str | None = None,
        adapt_rate: float | None = None,
        adapt_every: int | None = None,
        adapt_decay: float | None = None,
        adapt_across: bool = False,
        cache: bool = False,
        cache_size: int | None = None,
        cache_sharpness: float | None = None,
        cache_share: float | None = None,
        save_adapted: str | Path | None = None,
        exact: bool = False,
        field: str | None = None,
        encoding: str | None = None,
        newlines: str = "keep",
        normalize: str = "none",
        on_note: Callable[[str], None] = lambda _: None,
    ) -> "Iterator[Score]":
        """
        Score texts by this model and others beside it, as `lmgen perplexity` does.

            for score in model.perplexity("book.txt", orders=range(1, 9)):
                print(score.model, score.perplexity)

        Scores are yielded as the texts are read; memory does not grow with a text.

        Args:
            texts: files, folders, `-` (standard input), or texts: a str with a line end in it is a text, any
                other a path. None: the run's held-out text.
            by: what one score covers: a `document`, a `record` or `line` (a text of its own), a `word`
                between white space, or a `token`. evaluation/results.py says what each score holds.
            unit: what is read afresh: the `document`, each `line` or each `record`. None: lines by line and
                by word, records by record, else what is one text for the model.
            blank_with: by word, the word that white space is counted with: the `next` (None) or `previous`.
            baseline: the run's n-gram baseline beside the model. None: if there is one, by document only.
            order: fit a baseline of this order on the run's training text instead.
            orders: fit baselines of all these orders; each score also has the number of `parameters`, and of
                n-grams that are `possible`.
            mix: add the mixture of model and baseline, weighted on the run's validation text.
            adapt: also the same models learning from a text as they read it, each token scored before it is
                learned from: results `lstm+adapt`, `ngram-7+adapt`, with `mix` `mixture+adapt`.
            adapt_step: `rms`: a network's steps are gradients over the roots of their mean squares (None); or
                `plain` gradients.
            adapt_rate: size of a network's steps. None: the best on the run's validation text, or one that
                suits most texts where that is scored, or absent.
            adapt_every: tokens that a step learns from. None, here and below: a value that suits most texts.
            adapt_decay: share of the way back to the trained weights after each step.
            adapt_across: keep what was learned, and the cache, from text to text, line to line, record to
                record; otherwise each begins with the model as trained.
            cache: also the network with a cache of what it read (models/cache.py): results `lstm+cache`, with
                `mix` `mixture+cache`, with `adapt` `lstm+adapt+cache`.
            cache_size: tokens in the cache. None: 2,000.
            cache_sharpness: how much more the most similar states count than the others, θ. None, here and
                below: the best on the run's validation text, or one that suits most texts.
            cache_share: weight of its probabilities beside those of the network, λ.
            save_adapted: with `adapt`, write the network with what it learned to this new file, a model like
                any other, when all texts are scored.
            exact: read a text as one stream, and score it as it arrives; otherwise a long text is read as
                parallel streams that each warm up on the tokens before them.
            field: the field that holds the text in JSON Lines, JSON, CSV and TSV; standard input is JSON
                Lines if it is given.
            encoding: the character encoding of the texts; None: that of the model's training text.
            newlines: `lf`: read the line ends `\\r\\n` and `\\r` of the texts as `\\n`.
            normalize: bring the texts into the normal form `nfc` or `nfkc` first.
            on_note: called with what a reader of the scores should know, a sentence each.

        Raises:
            ConfigError: the arguments contradict each other.
            CorpusError: a text cannot be read, or is empty.
            ModelError: a baseline was asked for, but there is none; or the file to save exists.
        """
        from lmgen.evaluation.comparison import Comparison
        from lmgen.models.adapting import adapting

        reading = ReadingConfig(newlines=newlines, normalize=normalize)
        opened = self.texts(*texts, field=field, encoding=encoding, reading=reading, on_note=on_note)
        comparison = Comparison(
            self.model,
            self.tokenizer,
            self.path,
            by=by,
            unit=unit,
            blank_with=blank_with,
            baseline=baseline,
            order=order,
            orders=orders,
            mix=mix,
            adapt=adapting(
                adapt,
                cache,
                across=adapt_across,
                device=self.device,
                adapt_step=adapt_step,
                adapt_rate=adapt_rate,
                adapt_every=adapt_every,
                adapt_decay=adapt_decay,
                cache_size=cache_size,
                cache_sharpness=cache_sharpness,
                cache_share=cache_share,
            ),
            exact=exact,
            on_note=on_note,
        )
        if save_adapted is None:
            return comparison.scores(opened)
        comparison.refuse_many_adapted(opened)
        out = Path(save_adapted)
        refuse_existing(out, overwrite=None, option="--save-adapted")

        def saving() -> "Iterator[Score]":
            yield from comparison.scores(opened)
            training = {**self.training, "adapted_to": ", ".join(text.name for text in opened)}
            save_model(out, comparison.adapted_network(), self.tokenizer, training)

        return saving()

    @python_call
    def answers(
        self,
        *texts: str | Path | Text,
        after: str | None = None,
        choices: Iterable[str] = (),
        baseline: bool | None = None,
        field: str | None = None,
        encoding: str | None = None,
        on_note: Callable[[str], None] = lambda _: None,
    ) -> "AnswerResults":
        """
        Let the model answer each line of a text, and count the right answers, as `lmgen answers` does.

            results = model.answers("test.txt", after="=")
            results.accuracy, [each.prompt for each in results.answers if not each.correct]

        Args:
            texts: one, as in `perplexity`; a line is a question, a mark and the right answer.
            after: the mark; None: the one that the model was trained with.
            choices: choose among these answers the one of highest probability; none: any text.
            baseline: the run's n-gram baseline beside the model. None: if there is one.
            field: as in `perplexity`.
            encoding: as in `perplexity`.
            on_note: called with what a reader of the results should know, a sentence each.

        Raises:
            ConfigError: there is no mark, or there are several texts.
            CorpusError: the text cannot be read, or no line has the mark.
            ModelError: a baseline was asked for, but there is none.
        """
        from lmgen.generation.answers import answer_lines

        if len(texts) > 1:
            raise ConfigError("give one text at a time")
        tabs = "\t" in (after or "")
        [text] = self.texts(*texts, field=field, encoding=encoding, tabs=tabs, on_note=on_note)
        has_one = self.is_saved and self.run is not None and self.run.ngram.exists()
        return answer_lines(
            self.model,
            self.tokenizer,
            text,
            after=after,
            choices=list(each_text(choices, "choices")),
            baseline=self.baseline() if baseline or (baseline is None and has_one) else None,
            on_note=on_note,
        )

    @python_call
    def pairs(
        self,
        pairs: "str | Path | Iterable[Sequence[str]]",
        *,
        good: str = "sentence_good",
        bad: str = "sentence_bad",
        group: str | None = None,
        baseline: bool | None = None,
        mix: bool = False,
        encoding: str | None = None,
        on_note: Callable[[str], None] = lambda _: None,
    ) -> "PairResults":
        """
        How often the acceptable sentence of a minimal pair is likelier, as `lmgen pairs` prints it.

            results = model.pairs("blimp.jsonl", group="UID")
            model.pairs([("The cats sleep.", "The cats sleeps.")]).accuracy

        Args:
            pairs: a file of records, or a list of pairs: good sentence, bad sentence and, if there are
                groups, the group.
            good: the field of the good sentence in a file.
            bad: the field of the bad one.
            group: the field of the group; None: there are none.
            baseline: the run's n-gram baseline beside the model. None: if there is one.
            mix: also the mixture of model and baseline.
            encoding: the character encoding of the file; None: UTF-8.
            on_note: called with what a reader of the results should know, a sentence each.

        Raises:
            ConfigError: one of the pairs is none.
            CorpusError: the file cannot be read, or a sentence is empty.
            ModelError: a baseline was asked for, but there is none.
        """
        from lmgen.evaluation.pairs import pairs_of, score_pairs

        name, listed = pairs_of(pairs, good=good, bad=bad, group=group, encoding=encoding)
        has_one = self.is_saved and self.run is not None and self.run.ngram.exists()
        beside = mix or (has_one if baseline is None else baseline)
        return score_pairs(
            listed, name, self.model, self.tokenizer, self.path, baseline=beside, mix=mix, on_note=on_note
        )

    @python_call
    def novelty(
        self,
        text: str | Path | Text | None = None,
        *,
        num: int | None = None,
        top: int = 10,
        field: str | None = None,
        encoding: str | None = None,
        on_note: Callable[[str], None] = lambda _: None,
        **settings: Any,
    ) -> "Novelty":
        """
        What the model copies: the passages of its samples that stand in its training text, and what is new.

            found = model.novelty(length=1000, seed=1)
            found.passages[0].text, [each.share for each in found.ngrams if each.of == "tokens"]

        Args:
            text: measure this text, given as in `perplexity`, instead of samples.
            num: samples to draw; None: 20, or 200 lines or records.
            top: how many of the longest passages to list.
            field: as in `perplexity`.
            encoding: as in `perplexity`.
            on_note: called with what a reader should know, a sentence each.
            settings: of the samples, as for `sample`.

        Raises:
            ConfigError: a setting is unknown or out of range.
            CorpusError: the text cannot be read, or is empty.
            ModelError: the training text is not there: the model is not in a run folder.
        """
        from lmgen.evaluation.novelty import (
            held_out_tokens,
            note_on_training,
            novelty,
            samples_of,
            training_tokens,
        )

        training = training_tokens(self.path, self.model, self.tokenizer)
        if note := note_on_training(self.path):
            on_note(note)
        if text is None:
            count = (20 if self.tokenizer.end is None else 200) if num is None else num
            name, samples = "samples", [each.text for each in self.complete([""], num=count, **settings)]
        else:
            [opened] = self.texts(text, field=field, encoding=encoding, on_note=on_note)
            name, samples = opened.name, samples_of(opened, self.tokenizer)
        return novelty(
            samples,
            training,
            self.tokenizer,
            model=self.model.name,
            text=name,
            held_out=held_out_tokens(self.path, self.tokenizer),
            top=whole_number(top, "top", minimum=0),
        )

    def texts(
        self,
        *texts: str | Path | Text,
        field: str | None = None,
        encoding: str | None = None,
        reading: ReadingConfig | None = None,
        tabs: bool = False,
        on_note: Callable[[str], None] = lambda _: None,
    ) -> list[Text]:
        """
        Open texts to be read once, decoded as the tokenizer needs it. Arguments are those of `perplexity`.

        `reading` has the line ends and the normal form that are asked for; None: those of the texts. With
        `tabs`, or where a tab is the mark before answers, `.tsv` files are lines of text and not records.

        Raises:
            CorpusError: a text cannot be read; or none is given, and the model is in no run with a held-out
                text.
        """
        given = [
            text_or_path(text, _numbered(number, texts), "give each as an argument of its own")
            for number, text in enumerate(texts, 1)
        ]
        wanted = given or [str(self._held_out(on_note))]
        opened = [self._opened(text, field, encoding, on_note, tabs=tabs) for text in wanted]
        if reading is not None:
            opened = [read_alike(text, reading) for text in opened]
        names = [text.name if isinstance(text, Text) else text for text in wanted]
        return [replace(text, name=name) for text, name in zip(opened, names, strict=True)]

    def _held_out(self, on_note: Callable[[str], None]) -> Path:
        run = self.run
        text = None if run is None else run.held_out_text
        if text is None:
            why = (
                f"{self.path} is not in a run folder with a held-out text"
                if run is None
                else f"{run.folder} has no held-out text"
            )
            raise CorpusError(f"{why}; name a text to score")
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
    ) -> Text:
        if isinstance(text, Text):
            return text
        encoding = encoding or self._usual_encoding(Path(text), on_note)
        errors = self.tokenizer.reading_errors
        tabs = field is None and (tabs or self.tokenizer.reading.marks_by_tabs)
        opened = open_text(text, field=field, errors=errors, encoding=encoding, once=True, tabs=tabs)
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
            ConfigError: `to` is something else, or a text is given for an ARPA file.
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
        refuse_existing(out, overwrite=overwrite)
        exported: ExportedNgrams | ExportedWeights
        if form == "arpa":
            exported = export_arpa(self._saved, self.path, out)
        else:
            if text is None and self.run is not None:
                text = self.run.held_out_text
            opened = None if text is None else self._opened(text_or_path(text, "text"), None, None, on_note)
            exported = export_weights(self._saved, self.path, out, form, opened, on_note)
        if why:
            on_note(why)
        return exported

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
        has_one = self.is_saved and self.run is not None and self.run.ngram.exists()
        if baseline or (baseline is None and has_one):
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

    def vectors(self) -> "Vectors":
        """
        The embedding of the network as word vectors: `model.vectors().near("king - man + woman")`.

        Raises:
            ModelError: the model has no embedding.
        """
        from lmgen.vectors.models import vectors_of

        return vectors_of(self.model, self.tokenizer, str(self.run.folder if self.run else self.path))

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


def _sampling(settings: dict[str, Any], *arguments: str) -> SamplingConfig:
    """
    The settings of sampling.

    Raises:
        ConfigError: one is unknown; it may be meant for one of the other `arguments` of the call.
    """
    known = names_of(SamplingConfig)
    refuse_unknown(settings, known, "", f"known are {', '.join(sorted(known))}", arguments)
    return SamplingConfig(**settings)


def _texts(texts: Any) -> list[str]:
    """
    A list of texts to score.

    Raises:
        ConfigError: it is something else.
    """
    return list(each_text(texts, "text", "a text or a list of texts; `perplexity` reads files"))


def _numbered(number: int, texts: Sequence[object]) -> str:
    """The name of one of several texts that have none."""
    return "text" if len(texts) == 1 else f"text {number}"
