"""`lmgen sample`: complete texts. generation/ draws the tokens, and prompts.py reads the prompts."""

from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from lmgen.cli import report
from lmgen.cli.options import JsonOption, ModelArgument, QuietOption, given, open_model, settings_as_options
from lmgen.cli.output import TextOutput, json_line
from lmgen.cli.prompts import noting_unknown, prompts
from lmgen.errors import ConfigError
from lmgen.generation.config import SamplingConfig

if TYPE_CHECKING:
    from lmgen.generation.completion import Completion
    from lmgen.text_model import TextModel


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

    A model of lines or records (--unit) ends a text by itself; with --length 0 it goes on with the next one.

    A prompt from stdin or a file ends before its last line end.

    Tokens are drawn by the model's p as the controls leave it; they apply in the order listed, top-k first.

    With --json, nats is -Σ log p of all tokens drawn, before any control; a stop text's or line end's too.

    lmgen sample checkpoints/demo --prompt "To be" --temperature 0.8
    """
    with report.reported_errors():
        from lmgen.tokenizers.reading import RECORD_END_SHOWN

        options = {**given(settings), "stop": stop or []}
        single = not (lines or json or num > 1)
        _check(SamplingConfig(**given(settings)), prompt, prompt_file, stop or [], single=single)
        opened = open_model(model, for_texts="a text to complete goes with --prompt")
        if mixed:
            opened = opened.mixed()
        groups = noting_unknown(opened, prompts(prompt, prompt_file, lines=lines))
        if single:
            texts = _streamed(opened, next(groups)[0], options, echo=not no_echo)
        else:
            completions = _completions(opened, groups, options, num=num, lines=lines)
            end = RECORD_END_SHOWN if opened.tokenizer.unit == "record" and not lines else "\n"
            texts = (_as_json(each) if json else _shown(each, end, echo=not no_echo) for each in completions)
        of_a_line = json or lines or opened.tokenizer.unit == "line" or "\n" in options["stop"]
        with TextOutput() as output:
            for number, text in enumerate(texts, 1):
                if not (single or of_a_line):
                    output.rule(f"{number} of {num}")
                output.write(text)


def _check(
    config: SamplingConfig, prompt: str | None, prompt_file: Path | None, stop: list[str], *, single: bool
) -> None:
    """Raise ConfigError for flags that contradict each other, before opening the model."""
    problems = []
    if prompt is not None and prompt_file is not None:
        problems.append("--prompt and --prompt-file exclude each other; give one of them")
    if config.length == 0 and not single:
        problems.append("--length 0 is endless, so it goes without --num, --lines and --json; give a length")
    if "" in stop:
        problems.append("--stop needs a text of at least one character")
    if problems:
        raise ConfigError("; ".join(problems))


def _completions(
    opened: "TextModel", groups: Iterable[list[str]], options: dict[str, Any], *, num: int, lines: bool
) -> "Iterator[Completion]":
    """Complete all prompts, finishing each group before waiting for the next."""
    from lmgen.generation.sampler import new_seed

    first = 0
    options = {"seed": new_seed(), **options}
    for group in groups:
        yield from opened.complete(group, num=num, lines=lines, first=first, **options)
        first += len(group) * num


def _streamed(opened: "TextModel", prompt: str, options: dict[str, Any], *, echo: bool) -> Iterator[str]:
    """Yield a prompt, then its completion piece by piece."""
    if echo:
        yield prompt
    yield from opened.stream(prompt, **options)


def _as_json(completion: "Completion") -> str:
    from dataclasses import asdict

    return json_line(asdict(completion))


def _shown(completion: "Completion", end: str, *, echo: bool) -> str:
    """A completion, after its prompt if `echo` is set, and `end`, which a line end of its own is part of."""
    text = completion.prompt + completion.text if echo else completion.text
    return text.removesuffix("\n") + end
