"""`lmgen sample`: text that goes on. How it is drawn is in generation/; here is what goes in and out."""

import re
from collections.abc import Iterable, Iterator
from io import StringIO
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from lmgen.cli import report
from lmgen.cli.options import JsonOption, ModelArgument, QuietOption, given, open_model, settings_as_options
from lmgen.cli.output import TextOutput, flushing, json_line
from lmgen.errors import ConfigError, CorpusError
from lmgen.generation.config import SamplingConfig

if TYPE_CHECKING:
    from lmgen.generation.completion import Completion
    from lmgen.text_model import TextModel
    from lmgen.tokenizers.base import Tokenizer

UNKNOWN_NAMED = 10
"""So many unknown characters or words are named in a note; of more than that, how many there are."""

UNKNOWN_SHOWN = 60
"""Of each so many characters: a word may be as long as a text."""

LONGEST_PROMPT = 100_000_000
"""In characters. A prompt is held in memory as a whole, with its tokens up to 40 bytes a character."""

_FINAL_LINE_END = re.compile(r"\r?\n\Z")


@settings_as_options(SamplingConfig)
def sample(
    model: ModelArgument = None,
    prompt: Annotated[
        str | None,
        typer.Option(help="The text to complete; - is stdin (none: from scratch).", show_default=False),
    ] = None,
    prompt_file: Annotated[
        Path | None, typer.Option(help="A file with the text to complete.", show_default=False)
    ] = None,
    lines: Annotated[
        bool,
        typer.Option("--lines", help="Complete each line of the prompt, to the end of that line at most."),
    ] = False,
    num: Annotated[int, typer.Option(help="Completions per prompt.", min=1)] = 1,
    stop: Annotated[
        list[str] | None, typer.Option(help="End before this text; may be repeated.", show_default=False)
    ] = None,
    mixed: Annotated[
        bool, typer.Option("--mix", help="Mix the model with the n-gram baseline of its run.")
    ] = False,
    no_echo: Annotated[bool, typer.Option("--no-echo", help="Leave the prompt out of the output.")] = False,
    json: JsonOption = False,
    quiet: QuietOption = False,  # noqa: ARG001 - its callback does the work
    **settings: Any,
) -> None:
    """
    Complete a text with a model.

    The text streams out as it grows; with --num or --lines each completion ends in a line end.

    A prompt from stdin or a file ends before its last line end.

    Tokens are drawn by the model's p as the controls leave it; they apply in the order listed, top-k first.

    With --json, nats is -Σ log p of all tokens drawn, before any control; a stop text's or line end's too.

    lmgen sample checkpoints/demo --prompt "To be" --temperature 0.8
    """
    with report.reported_errors():
        options = {**given(settings), "stop": stop or []}
        single = not (lines or json or num > 1)
        _check(SamplingConfig(**given(settings)), prompt, prompt_file, stop or [], single=single)
        opened = open_model(model, for_texts="a text to complete goes with --prompt")
        if mixed:
            opened = opened.mixed()
        groups = _noting_unknown(opened.tokenizer, _prompts(prompt, prompt_file, lines=lines))
        if single:
            texts = _streamed(opened, next(groups)[0], options, echo=not no_echo)
        else:
            completions = _completions(opened, groups, options, num=num, lines=lines)
            texts = map(_as_json if json else _with_prompt if not no_echo else _alone, completions)
        with TextOutput() as output:
            for text in texts:
                output.write(text)


def read_prompt(name: str) -> str:
    """
    The text of a file or of standard input (`-`), without a line end at its very end.

    `echo text |` and editors add one that is not meant to be completed. Bytes that are not UTF-8 pass; for
    most models they are unknown.

    Raises:
        CorpusError: it cannot be read, or is longer than `LONGEST_PROMPT`.
    """
    prompt = StringIO()
    for chunk in _chunks(name):
        _lengthen(prompt, chunk)
    return _FINAL_LINE_END.sub("", prompt.getvalue())


def note_unknown(parts: list[str]) -> None:
    """Tell the user what in a prompt the model does not know."""
    named = ", ".join(repr(part[:UNKNOWN_SHOWN]) for part in parts[:UNKNOWN_NAMED])
    more = f" and {len(parts) - UNKNOWN_NAMED} more" if len(parts) > UNKNOWN_NAMED else ""
    report.note(f"the model never saw {named}{more} and reads it as unknown")


def _check(
    config: SamplingConfig, prompt: str | None, prompt_file: Path | None, stop: list[str], *, single: bool
) -> None:
    """Refuse flags that contradict each other, before anything is opened."""
    problems = []
    if prompt is not None and prompt_file is not None:
        problems.append("--prompt and --prompt-file exclude each other; give one of them")
    if config.length == 0 and not single:
        problems.append("--length 0 is endless, so it goes without --num, --lines and --json; give a length")
    if "" in stop:
        problems.append("--stop needs a text of at least one character")
    if problems:
        raise ConfigError("; ".join(problems))


def _prompts(prompt: str | None, prompt_file: Path | None, *, lines: bool) -> Iterator[list[str]]:
    """The prompts, as many together as have arrived; an empty one if none is given."""
    if prompt_file is None and prompt != "-":
        text = prompt or ""
        return _lines([text]) if lines and text else iter([[text]])
    name = str(prompt_file or "-")
    return _lines(_chunks(name)) if lines else iter([[read_prompt(name)]])


def _chunks(name: str) -> Iterator[str]:
    """A text as it arrives; completions that are done are flushed before more of it is waited for."""
    from lmgen.text.sources import source

    return flushing(source(name, errors="surrogateescape", once=True).chunks())


def _lines(chunks: Iterable[str]) -> Iterator[list[str]]:
    """The lines of a text without their line ends, `\\n` or `\\r\\n`; the last may have none."""
    line = StringIO()
    for chunk in chunks:
        rest, *others = chunk.split("\n")
        _lengthen(line, rest)
        lines = []
        for other in others:
            lines.append(line.getvalue().removesuffix("\r"))
            line = StringIO()
            _lengthen(line, other)
        if lines:
            yield lines
    if last := line.getvalue():
        yield [last]


def _lengthen(prompt: StringIO, part: str) -> None:
    """Add to a prompt that has not ended yet."""
    prompt.write(part)
    if prompt.tell() > LONGEST_PROMPT:
        raise CorpusError(
            f"a prompt is longer than {LONGEST_PROMPT:,} characters; give its end alone (tail -c 1000000)"
        )


def _noting_unknown(tokenizer: "Tokenizer", groups: Iterable[list[str]]) -> Iterator[list[str]]:
    """Pass prompts on; a note says what is unknown in the first of them that has something unknown."""
    from lmgen.generation.prompts import unknown_parts

    noted = False
    for group in groups:
        for prompt in group:
            if not noted and (parts := unknown_parts(tokenizer, prompt)):
                note_unknown(parts)
                noted = True
        yield group


def _completions(
    opened: "TextModel", groups: Iterable[list[str]], options: dict[str, Any], *, num: int, lines: bool
) -> "Iterator[Completion]":
    """Of all prompts, each group's before the next group is waited for."""
    from lmgen.generation.sampler import new_seed

    first = 0
    options = {"seed": new_seed(), **options}
    for group in groups:
        yield from opened.complete(group, num=num, lines=lines, first=first, **options)
        first += len(group) * num


def _streamed(opened: "TextModel", prompt: str, options: dict[str, Any], *, echo: bool) -> Iterator[str]:
    """A prompt, then its completion as it grows."""
    if echo:
        yield prompt
    yield from opened.stream(prompt, **options)


def _as_json(completion: "Completion") -> str:
    from dataclasses import asdict

    return json_line(asdict(completion))


def _with_prompt(completion: "Completion") -> str:
    return _line(completion.prompt + completion.text)


def _alone(completion: "Completion") -> str:
    return _line(completion.text)


def _line(text: str) -> str:
    """A text that ends in a line end."""
    return text if text.endswith("\n") else text + "\n"
