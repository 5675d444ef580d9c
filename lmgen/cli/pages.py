"""
Help pages: `--help` shows the flags that most people use, `--help-all` all of them in named panels.

A flag without a panel of its own is one of daily use, and stands in the first panel. Imports rich only when a
page is printed.
"""

from collections.abc import Iterable
from inspect import cleandoc
from typing import TYPE_CHECKING, Any

from typer.core import TyperCommand, TyperGroup

from lmgen.settings import Panel as PanelName

if TYPE_CHECKING:
    from rich.table import Table
    from rich.text import Text

ARGUMENTS = "Arguments"
OPTIONS = "Options"
COMMANDS = "Commands"

LAST = ("json", "quiet", "help_all", "help")
"""Flags that nearly every command has; they end the first panel."""

EXAMPLE = "lmgen "
"""A paragraph of help in which this begins a command is an example."""


class Command(TyperCommand):
    """A command whose `--help` is the short page."""

    def collect_usage_pieces(self, ctx: Any) -> list[str]:
        """The words after the command's name in the first line of the page."""
        arguments = [each for each in self.get_params(ctx) if each.param_type_name == "argument"]
        return ["[OPTIONS]", *map(_spelled, arguments)]

    def format_help(self, ctx: Any, formatter: Any) -> None:  # noqa: ARG002 - it prints by itself
        """Print the short page."""
        print_page(self, ctx)


class CommandGroup(TyperGroup):
    """A command with subcommands, whose help page lists them."""

    def format_help(self, ctx: Any, formatter: Any) -> None:  # noqa: ARG002 - it prints by itself
        """Print the page."""
        print_page(self, ctx)


def print_page(command: Any, ctx: Any, *, everything: bool = False) -> None:
    """Print the help page of a command; `everything`: with the flags of the other panels."""
    from rich.console import Console
    from rich.panel import Panel
    from rich.text import Text

    console = Console(highlight=False, markup=False, emoji=False)
    listed = _panels(command, ctx)
    if isinstance(command, TyperGroup):
        listed[COMMANDS] = [(name, _paragraphs(each)[0]) for name, each in command.commands.items()]
    shown = {
        name: rows for name, rows in listed.items() if everything or name in (ARGUMENTS, OPTIONS, COMMANDS)
    }
    left_out = sum(len(rows) for name, rows in listed.items() if name not in shown)

    console.print(_highlighted(command.get_usage(ctx), style="bold"))
    for paragraph in _paragraphs(command):
        margin = Text("   " if _is_example(paragraph) else " ")
        console.print()
        for line in _highlighted(paragraph).wrap(console, console.width - 2 * len(margin)):
            console.print(margin + line)
    console.print()
    width = max(len(name) for rows in shown.values() for name, _ in rows)
    for name, rows in shown.items():
        console.print(Panel(_table(rows, width), title=name, title_align="left", border_style="dim"))
    if left_out:
        console.print(_highlighted(f"--help-all shows {left_out} more flags."))


def _panels(command: Any, ctx: Any) -> dict[str, list[tuple[str, str]]]:
    """The rows of each panel: an argument, or a flag in all its spellings, and its help."""
    panels: dict[str, list[Any]] = {name: [] for name in (ARGUMENTS, OPTIONS, *PanelName)}
    for each in command.get_params(ctx):
        param: Any = each
        if not getattr(param, "hidden", False):
            first = ARGUMENTS if param.param_type_name == "argument" else OPTIONS
            panels[param.rich_help_panel or first].append(param)
    panels[OPTIONS].sort(key=lambda param: LAST.index(param.name) if param.name in LAST else -1)
    return {
        name: [(_spelled(param), param.help or "") for param in params]
        for name, params in panels.items()
        if params
    }


def _spelled(param: Any) -> str:
    """`-o, --out DIR`; long names begin in the same column whether there is a short one or not."""
    if param.param_type_name == "argument":
        if " " in param.metavar:  # it is several arguments already, as `[MODEL] TEXT`
            return str(param.metavar)
        name = param.metavar if param.required else f"[{param.metavar}]"
        return f"{name}..." if param.nargs != 1 else name
    short = next((flag for flag in param.opts if not flag.startswith("--")), None)
    flags = [next(flag for flag in param.opts if flag.startswith("--")), *param.secondary_opts]
    spelled = f"{short}, " if short else "    "
    return spelled + "/".join(flags) + (f" {param.metavar}" if param.metavar and not param.is_flag else "")


def _table(rows: Iterable[tuple[str, str]], width: int) -> "Table":
    """The rows of a panel, the first column of the width that all panels of a page have."""
    from rich.table import Table

    table = Table.grid(padding=(0, 2, 0, 0), expand=True)
    table.add_column(min_width=width, no_wrap=True)
    table.add_column(ratio=1)
    for name, text in rows:
        table.add_row(_highlighted(name, plain="bold cyan"), _highlighted(text))
    return table


def _paragraphs(command: Any) -> list[str]:
    """The help of a command, a line for each paragraph."""
    return [" ".join(each.split("\n")) for each in cleandoc(command.help or "").split("\n\n")]


def _is_example(paragraph: str) -> bool:
    """Whether a paragraph is a command to run."""
    return paragraph.startswith(EXAMPLE) or f"| {EXAMPLE}" in paragraph


def _highlighted(text: str, style: str = "", plain: str = "") -> "Text":
    """Text with its flags in colour; `plain` is the style of a text that has no flag."""
    from rich.text import Text

    shown = Text(text, style=style)
    shown.highlight_regex(r"(?<![\w-])--?[a-z][a-z-]*", "cyan")
    if plain and not shown.spans:
        shown.stylize(plain)
    return shown
