"""Help pages: every command, subcommand and flag is on them, said in one style."""

import re
from collections.abc import Iterator
from typing import Any

import pytest
from typer.testing import CliRunner

from lmgen.cli import report
from lmgen.cli.app import COMMANDS, app, load_command
from lmgen.settings import Panel
from tests.cli.test_flags import commands

ALL = list(commands())

OFTEN_USED = {
    "train": "out resume preset tokenizer cell layers hidden-size epochs minutes json quiet",
    "perplexity": "by baseline mix adapt cache format json quiet",
    "answers": "after choices baseline format json quiet",
    "novelty": "length num temperature seed top format json quiet",
    "ngram": "order arpa out overwrite tokenizer json quiet",
    "vectors train": "out pairs overwrite method embedding-size window epochs min-count lowercase "
    "split-punctuation json quiet",
    "corpus make": "out count characters seed test test-count overwrite json quiet",
}
"""The flags of the short page where there is a longer one, in the order of the page."""

SHORT = {"-o": "--out", "-m": "--minutes", "-q": "--quiet", "-h": "--help"}
SHORT_OF_SAMPLE = {"-n": "--num", "-l": "--length", "-t": "--temperature", "-p": "--prompt"}

every_command = pytest.mark.parametrize(("name", "command"), ALL, ids=[name.strip() for name, _ in ALL])


def page(*arguments: str, width: int = 100) -> str:
    result = CliRunner(env={"COLUMNS": str(width), "NO_COLOR": "1"}).invoke(app, arguments)
    assert (result.exit_code, result.stderr) == (0, "")
    return result.stdout


def parameters(command: Any) -> Iterator[Any]:
    """Arguments and options, without the opposites of flags, which are on no page."""
    return (each for each in command.params if not getattr(each, "hidden", False))


def long_flags(command: Any) -> list[str]:
    return [flag for each in parameters(command) for flag in each.opts if flag.startswith("--")]


def listed(shown: str) -> list[str]:
    """The long flags that begin a row of a page."""
    return re.findall(r"^│ (?:-\w, |    )(--[a-z-]+)", shown, flags=re.MULTILINE)


@every_command
def test_each_help_text_is_one_or_more_sentences_with_the_default_at_the_end(name: str, command: Any) -> None:
    for each in parameters(command):
        text = each.help
        assert text, each.name
        assert re.fullmatch(r"[A-Z].*[^.]\.", text, flags=re.DOTALL), text
        assert "[default" not in text, text
        assert ") (default" not in text, text
        assert text.count("default") <= 1 or "by default" in text, text
        if "(default" in text:
            assert re.search(r" \(default: [^()]+\)\.$", text), text
        if each.default not in (None, False, ()):
            assert f"(default: {each.default})." in text


@every_command
def test_no_name_of_a_value_or_of_another_program_is_made_a_word_by_a_capital(
    name: str, command: Any
) -> None:
    names = {"lmplz"}
    for each in parameters(load_command("train")):
        names |= set(re.findall(r"One of (.*) \(default", each.help))
        names |= set(str(each.metavar).split("|"))
    names = {part for each in names for part in each.split(", ") if part.islower()} - {"keep"}
    assert {"char", "lstm", "softmax", "adaptive", "sgd", "find"} < names

    for each in parameters(command):
        first, *_ = re.split(r"[^\w-]", each.help)
        assert first not in {each.capitalize() for each in names}


@every_command
def test_flags_are_spelled_alike_and_say_what_they_take(name: str, command: Any) -> None:
    flags = [flag for each in command.params for flag in (*each.opts, *each.secondary_opts)]
    assert len(flags) == len(set(flags))
    for each in parameters(command):
        if each.param_type_name == "argument":
            assert re.fullmatch(r"[A-Z |\[\]]+", each.metavar)
            continue
        assert all(re.fullmatch(r"--[a-z]+(-[a-z]+)*|-[a-z]", flag) for flag in each.opts), each.opts
        if not each.is_flag:
            assert re.fullmatch(r"[A-Z|,.-]+(\|[a-z]+)*|[a-z0-9-]+(\|[a-z0-9-]+)*", each.metavar), each.opts


def test_a_short_flag_means_the_same_everywhere_and_goes_with_its_long_one() -> None:
    letters = {long: short for short, long in {**SHORT, **SHORT_OF_SAMPLE}.items()}
    for name, command in ALL:
        for each in parameters(command):
            long = next((flag for flag in each.opts if flag.startswith("--")), "")
            has_letter = long in SHORT.values() or (name == "sample " and long in letters)
            assert sorted(each.opts)[1:] == ([letters[long]] if has_letter else []), (name, each.opts)


@every_command
def test_a_short_flag_does_what_the_long_one_does(
    name: str, command: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(report, "QUIET", False)
    for each in parameters(command):
        spellings = [flag for flag in each.opts if each.param_type_name == "option"]
        value = [] if getattr(each, "is_flag", False) else ["3"]
        if len(spellings) > 1:
            parsed = [
                command.make_context("lmgen", [flag, *value], resilient_parsing=True).params
                for flag in spellings
            ]
            assert parsed[0] == parsed[1]
            assert parsed[0][each.name] not in (None, False)


@every_command
def test_the_short_page_has_the_flags_of_daily_use_and_counts_the_others(name: str, command: Any) -> None:
    words = name.split()
    shown, everything = page(*words, "--help"), page(*words, "--help-all")
    assert sorted(listed(everything)) == sorted([*long_flags(command), "--help"])
    assert listed(shown) == listed(everything)[: len(listed(shown))]
    if name.strip() in OFTEN_USED:
        daily = [f"--{flag}" for flag in OFTEN_USED[name.strip()].split()]
        assert listed(shown) == [*daily, "--help-all", "--help"]
        rest = len(listed(everything)) - len(listed(shown))
        assert shown.endswith(f"\n--help-all shows {rest} more flags.\n\n")
        assert rest > 0
    else:
        assert shown == everything + "\n"


@every_command
def test_a_page_fits_the_screen(name: str, command: Any) -> None:
    words = name.split()
    assert len(page(*words, "--help").splitlines()) <= 50
    for width in (80, 100):
        for shown in (page(*words, "--help", width=width), page(*words, "--help-all", width=width)):
            assert max(map(len, shown.splitlines())) <= width
            assert "…" not in shown
            assert "bool" not in shown.lower()


@every_command
def test_the_page_says_what_the_command_says(name: str, command: Any) -> None:
    """Every word, in its order: nothing is taken for markup, such as `[MODEL]`."""
    shown = " ".join(page(*name.split(), "--help-all").replace("│", " ").split())
    assert " ".join(command.help.split()) in shown
    for each in parameters(command):
        if len(each.help) < 40:
            assert " ".join(each.help.split()) in shown


def test_the_long_page_of_train_has_all_panels_in_order() -> None:
    panels = re.findall(r"^╭─ (.*?) ─", page("train", "--help-all"), flags=re.MULTILINE)

    others = {Panel.NGRAMS, Panel.SCORES, Panel.TASKS}
    assert panels == ["Arguments", "Options", *(panel for panel in Panel if panel not in others)]


def test_a_command_with_subcommands_lists_them() -> None:
    for name, subcommand in load_command("corpus").commands.items():
        first = " ".join(subcommand.help.split("\n\n")[0].split())
        assert re.search(rf"│ {name} +{re.escape(first)} +│", page("corpus", "--help"))
    assert all(f"│ {name} " in page("--help") for name in COMMANDS)
