"""How well a model predicts: whole texts, their lines, words and tokens, minimal pairs, and answers."""

from collections.abc import Callable, Iterable, Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, TypedDict, Unpack, overload

from lmgen.calls import python_call
from lmgen.errors import ConfigError
from lmgen.files import behind_links, refuse_existing
from lmgen.models.model_file import save_model
from lmgen.text.config import ReadingConfig
from lmgen.text.given import each_text, refuse_surrogates, text_of
from lmgen.text.sources import Text
from lmgen.text.units import UNIT_END
from lmgen.text_model.opened import OpenedModel, numbered

if TYPE_CHECKING:
    from lmgen.evaluation.comparison import By, Score
    from lmgen.evaluation.pairs import PairResults
    from lmgen.evaluation.results import LineScore, TextScore, TokenScore, WordScore
    from lmgen.evaluation.rows import BlankWith
    from lmgen.evaluation.tables import Scores
    from lmgen.generation.answers import AnswerResults
    from lmgen.text.units import Unit


class Compared(TypedDict, total=False):
    """The keyword arguments of `Scoring.perplexity` beside `by`."""

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


class Scoring(OpenedModel):
    """Scores of a model, alone and beside others."""

    __slots__ = ()

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
                refuse_surrogates(each, f"the {numbered(number, texts)}")
        if by == "document":
            if isinstance(text, str):
                return score_text(self.model, self.tokenizer, texts, "text", exact=exact)
            return Scores(score_texts(self.model, self.tokenizer, texts, "text", exact=exact))
        if not texts:
            return Scores()
        named = [text_of(each, numbered(number, texts)) for number, each in enumerate(texts, 1)]
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
        once = not (mix or adapt or cache)  # else they are compared with the validation text first
        opened = self.texts(
            *texts, field=field, encoding=encoding, reading=reading, once=once, on_note=on_note
        )
        comparison = Comparison(
            self.model,
            self.tokenizer,
            self.path,
            is_saved=self.is_saved,
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
            save_model(behind_links(out), comparison.adapted_network(), self.tokenizer, training)

        return saving()

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
        beside = mix or (self.has_baseline if baseline is None else baseline)
        return score_pairs(
            listed,
            name,
            self.model,
            self.tokenizer,
            self.path,
            baseline=beside,
            mix=mix,
            is_saved=self.is_saved,
            on_note=on_note,
        )

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
        beside = self.has_baseline if baseline is None else baseline
        return answer_lines(
            self.model,
            self.tokenizer,
            text,
            after=after,
            choices=list(each_text(choices, "choices")),
            baseline=self.baseline() if beside else None,
            on_note=on_note,
        )


def _texts(texts: Any) -> list[str]:
    """
    A list of texts to score.

    Raises:
        ConfigError: it is something else.
    """
    return list(each_text(texts, "text", "a text or a list of texts; `perplexity` reads files"))
