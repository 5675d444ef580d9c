"""`lmgen sample`: complete texts. generation/ draws the tokens, and prompts.py reads the prompts."""

from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from lmgen.cli import report
from lmgen.cli.flags import given, option, settings_as_options
from lmgen.cli.options import CacheOption, DeviceOption, JsonOption, ModelArgument, QuietOption, open_model
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
    text: Annotated[
        str | None,
        typer.Argument(
            metavar="TEXT",
            help="The text to complete, as with --prompt; - is stdin (default: from scratch).",
            show_default=False,
        ),
    ] = None,
    prompt: Annotated[str | None, option("--prompt", "-p", help="The text to complete; - is stdin.")] = None,
    prompt_file: Annotated[Path | None, option(help="A file with the text to complete.")] = None,
    lines: Annotated[
        bool, option("--lines", help="Complete each line of the prompt, to the end of that line at most.")
    ] = False,
    num: Annotated[int, option("--num", "-n", help="Completions per prompt.", min=1)] = 1,
    stop: Annotated[list[str] | None, option(help="End before this text; may be repeated.")] = None,
    mixed: Annotated[
        bool, option("--mix", help="Mix the model with the n-gram baseline of its run.")
    ] = False,
    adapt: Annotated[
        bool,
        option(
            "--adapt", help="Learn from the prompt before completing it; with --mix the n-gram counts, too."
        ),
    ] = False,
    cache: CacheOption = False,
    save_adapted: Annotated[
        Path | None,
        option(help="With --adapt, a new file for the network with what it learned."),
    ] = None,
    no_echo: Annotated[bool, option("--no-echo", help="Leave the prompt out of the output.")] = False,
    heat: Annotated[
        bool, option("--heat", help="Colour each token by its surprisal, or mark it by a digit below.")
    ] = False,
    device: DeviceOption = "cpu",
    json: JsonOption = False,
    quiet: QuietOption = False,  # noqa: ARG001 - its callback does the work
    **settings: Any,
) -> None:
    """
    Complete a text with a model.

    The text streams out as it grows; with --num or --lines each completion ends in a line end.
    A model of lines or records (--unit) ends a text by itself; with --length 0 it goes on with the next one.
    A prompt from stdin or a file ends before its last line end.

    Tokens are drawn by the model's p as the controls leave it, in the order listed, top-k first.

    With --json, nats is -Σ log p of all tokens drawn, before any control, those of a stop text too.

    lmgen sample checkpoints/demo "To be" --temperature 0.8
    """
    with report.reported_errors():
        from lmgen.tokenizers.reading import RECORD_END_SHOWN

        options = {**given(settings), "stop": stop or []}
        single = not (lines or json or num > 1)
        config = SamplingConfig(**given(settings))
        _check(config, (text, prompt, prompt_file), stop or [], single=single, heat=heat)
        if config.learn_from_itself and not (adapt or cache):
            raise ConfigError(
                "--learn-from-itself goes with --adapt or --cache; add one of them, or leave the flag out"
            )
        prompt = text if prompt is None else prompt
        if save_adapted is not None:
            has_prompt = bool(prompt) or prompt_file is not None or config.learn_from_itself
            _check_saving(save_adapted, adapt=adapt, lines=lines, has_prompt=has_prompt)
        opened = open_model(model, for_texts="a text to complete goes with --prompt").on_device(device)
        if adapt or cache:
            opened = opened.adapting(adapt=adapt, mix=mixed, cache=cache, on_note=report.note)
        elif mixed:
            opened = opened.mixed()
        groups = noting_unknown(opened, prompts(prompt, prompt_file, lines=lines))
        if heat:
            _print_heat(opened, next(groups)[0], options, echo=not no_echo)
            texts: Iterator[str] = iter(())
        elif single:
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
        if save_adapted is not None:
            opened.save_adapted(save_adapted)


def _check_saving(out: Path, *, adapt: bool, lines: bool, has_prompt: bool) -> None:
    """Raise an error, before anything is sampled, if there will be no single adapted network to save."""
    from lmgen.files import refuse_existing

    if not adapt:
        raise ConfigError("--save-adapted writes the network with what it learned: add --adapt")
    if lines:
        raise ConfigError(
            "each line begins with the network as trained, so there is no single adapted one to save; leave "
            "--lines or --save-adapted out"
        )
    if not has_prompt:
        raise ConfigError("--save-adapted needs a prompt, which the network learns from")
    refuse_existing(out, overwrite=None, option="--save-adapted")


def _check(
    config: SamplingConfig, prompts: Iterable[object], stop: list[str], *, single: bool, heat: bool
) -> None:
    """Raise ConfigError for flags that contradict each other, before opening the model."""
    problems = []
    if sum(prompt is not None for prompt in prompts) > 1:
        problems.append("a text after MODEL, --prompt and --prompt-file exclude each other; give one of them")
    if config.length == 0 and not single:
        problems.append("--length 0 is endless, so it goes without --num, --lines and --json; give a length")
    if heat and not single:
        problems.append("--heat colours a single completion: leave --num, --lines and --json out")
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


def _print_heat(opened: "TextModel", prompt: str, options: dict[str, Any], *, echo: bool) -> None:
    """Print a prompt, then its completion in the colours of its surprisal, token by token."""
    from lmgen.cli.heat import HeatOutput
    from lmgen.evaluation.results import NATS_PER_BIT
    from lmgen.generation.sampler import stream_scored

    settings = {name: value for name, value in options.items() if name != "stop"}
    pieces = stream_scored(
        opened.model, opened.tokenizer, prompt, SamplingConfig(**settings), stop=options["stop"]
    )
    with HeatOutput() as output:
        output.legend(opened.model.name)
        output.write(prompt if echo else "")
        for text, nats in pieces:
            output.write(text, nats / NATS_PER_BIT)


def _as_json(completion: "Completion") -> str:
    from dataclasses import asdict

    return json_line(asdict(completion))


def _shown(completion: "Completion", end: str, *, echo: bool) -> str:
    """A completion, after its prompt if `echo` is set, and `end`, which a line end of its own is part of."""
    text = completion.prompt + completion.text if echo else completion.text
    return text.removesuffix("\n") + end
