"""Texts that a model writes: completions, what comes next, and how much of it the training text has."""

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, Self, overload

from lmgen.calls import python_call
from lmgen.errors import ConfigError, ModelError
from lmgen.files import behind_links, refuse_existing
from lmgen.generation.config import SamplingConfig
from lmgen.models.model_file import save_model
from lmgen.settings import flag, names_of, refuse_unknown, shown, whole_number
from lmgen.text.given import a_text, each_text
from lmgen.text.sources import Text
from lmgen.text_model.opened import OpenedModel

if TYPE_CHECKING:
    from lmgen.evaluation.novelty import Novelty
    from lmgen.generation.completion import Completion
    from lmgen.generation.next import Continuation, NextToken


class Completing(OpenedModel):
    """Completions of a model, which may learn from what it reads."""

    __slots__ = ()

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
    ) -> Self:
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

    def save_adapted(self, path: str | Path) -> Self:
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
        training = {**self.training, "adapted_to": "a prompt"}
        save_model(behind_links(out), self.adapted(), self.tokenizer, training)
        return type(self).load(out)

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
            prompts: the texts to complete; those of an iterator are taken as they are needed, and those of a
                list completed on all processors.
            num: completions per prompt.
            lines: end a completion at the end of its line, too.
            stop: end before any of these texts.
            first: number of completions that earlier calls with the same seed have given, if this one
                continues them.
            settings: as for `sample`.
        """
        from lmgen.generation.sampler import complete

        config = _sampling(settings, "num", "lines", "first", "stop", "prompts", "echo", "prompt")
        checked = each_text(prompts, "prompts")
        return complete(
            self.model,
            self.tokenizer,
            list(checked) if isinstance(prompts, list | tuple) else checked,
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
            ConfigError: a setting is unknown or out of range, or about samples where a text is given.
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

        if text is not None and (num is not None or settings):
            known = sorted({*names_of(SamplingConfig), "lines", "stop", "first"})
            refuse_unknown(settings, known, "", f"known are {', '.join(known)}", ("text", "num", "top"))
            names = ["--num"] * (num is not None) + [flag(name) for name in settings]
            verb = "is" if len(names) == 1 else "are"
            raise ConfigError(
                f"{', '.join(names)} {verb} about samples, but a text was given: leave one of the two out"
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


def _sampling(settings: dict[str, Any], *arguments: str) -> SamplingConfig:
    """
    The settings of sampling.

    Raises:
        ConfigError: one is unknown; it may be meant for one of the other `arguments` of the call.
    """
    known = names_of(SamplingConfig)
    refuse_unknown(settings, known, "", f"known are {', '.join(sorted(known))}", arguments)
    return SamplingConfig(**settings)
