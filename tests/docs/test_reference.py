"""The reference has every command, flag and function of the library, the benchmarks every result."""

from collections.abc import Iterator
from typing import Any

import lmgen
from docs.commands import escaped, reference
from docs.conf import RESULTS
from lmgen.cli.app import COMMANDS, load_command
from tests.docs.pages import ROOT


def every_command() -> Iterator[tuple[str, Any]]:
    for name in COMMANDS:
        command = load_command(name)
        yield f"lmgen {name}", command
        for below, each in getattr(command, "commands", {}).items():
            yield f"lmgen {name} {below}", each


def section(path: str) -> str:
    """What the reference says of a command."""
    return f"{reference()}\n## ".split(f"\n## {path}\n")[1].split("\n## ")[0]


def test_every_command_and_flag_is_in_the_reference_with_its_help() -> None:
    for path, command in every_command():
        entries = section(path).split("```{option} ")[1:]
        shown = {
            spelling.split()[0]: entry for entry in entries for spelling in entry.split("\n")[0].split(", ")
        }
        for param in command.params:
            spellings = [*param.opts, *param.secondary_opts]
            if getattr(param, "hidden", False):  # the opposites of flags, of which the page tells once
                continue
            assert param.help, (path, param.name)
            if not spellings[0].startswith("-"):
                assert escaped(param.help) in section(path), (path, param.name)
                continue
            for spelling in spellings:
                assert escaped(param.help) in shown[spelling], (path, spelling)


def test_what_is_hidden_is_the_opposite_of_a_flag_that_is_shown() -> None:
    for path, command in every_command():
        shown = {
            each for param in command.params for each in param.opts if not getattr(param, "hidden", False)
        }
        for param in command.params:
            if getattr(param, "hidden", False):
                opposites = {param.opts[0].replace("--no-", "--"), param.opts[0].replace("--", "--no-")}
                assert opposites & shown, (path, param.opts)


def test_every_function_and_error_of_the_library_is_in_the_reference() -> None:
    page = (ROOT / "docs" / "reference" / "python.md").read_text(encoding="utf-8")

    for name in lmgen.__all__:
        if not isinstance(getattr(lmgen, name), type):  # errors are documented as their module is
            assert f".. autofunction:: lmgen.{name}\n" in page, name
    assert ".. automodule:: lmgen.errors\n   :members:" in page


def test_every_file_of_results_is_on_the_page_of_benchmarks() -> None:
    files = {path.stem for path in (ROOT / "benchmarks" / "results").glob("*.md")}

    assert set(RESULTS) == files


def test_markup_in_a_help_text_is_escaped_and_flags_are_code() -> None:
    assert escaped("P(v | w_1 ... *x*) and <unk>, as `a_b <c>` (--no-tied, -q; n-gram - none)") == (
        r"P(v \| w\_1 ... \*x\*) and \<unk\>, as `a_b <c>` (`--no-tied`, `-q`; n-gram - none)"
    )
