"""
The reference of commands, as Markdown, from the commands themselves. `python -m docs.commands` prints it.

Sphinx appends it to reference/commands.md when it reads that page (conf.py), so it is never out of date.
"""

import re
from collections.abc import Iterator
from inspect import cleandoc
from pathlib import Path
from typing import Any, Literal, get_args, get_origin

from typer.main import get_group

from lmgen.cli.app import COMMANDS, app, load_command

WORDS = {int: "N", float: "X", str: "TEXT", Path: "PATH"}
"""What stands for a value of a type."""


def reference() -> str:
    """Every command with its arguments and flags."""
    lines = ["", "## lmgen", "", *_flags("lmgen", get_group(app))]
    for path, command in commands():
        lines += ["", f"## {path}", "", *_help(command.help or "")]
        if not hasattr(command, "commands"):
            lines += ["```text", f"{path} {usage(command)}".rstrip(), "```", "", *_flags(path, command)]
    return "\n".join(lines) + "\n"


def commands() -> Iterator[tuple[str, Any]]:
    """Every command and subcommand by what one types: `lmgen corpus list`."""
    for name in COMMANDS:
        command = load_command(name)
        yield f"lmgen {name}", command
        for below, each in getattr(command, "commands", {}).items():
            yield f"lmgen {name} {below}", each


def flags(command: Any) -> list[Any]:
    """Every parameter that is no argument and is not hidden: `--no-` forms are, as all flags have them."""
    return [each for each in command.params if each.opts[0].startswith("-") and not each.hidden]


def usage(command: Any) -> str:
    """The arguments in their order: `[MODEL] TEXT`."""
    shown = []
    for each in _arguments(command):
        name = each.metavar or each.name.upper()
        if " " in name:  # several arguments already: `[MODEL] TEXT`
            shown.append(name)
            continue
        many = "..." if each.nargs == -1 else ""
        shown.append(name + many if each.required else f"[{name}{many}]")
    return " ".join([*shown, "[FLAGS]"])


def _arguments(command: Any) -> list[Any]:
    return [each for each in command.params if not each.opts[0].startswith("-")]


def _flags(path: str, command: Any) -> list[str]:
    """A list of arguments, then one of flags for each panel of the help page."""
    lines = [
        f"- `{each.metavar or each.name.upper()}`: {escaped(each.help or '')}" for each in _arguments(command)
    ]
    lines += ["", "```{program} " + path, "```", ""]
    panels = dict.fromkeys(getattr(each, "rich_help_panel", None) for each in flags(command))
    for panel in sorted(panels, key=lambda panel: panel is not None):  # those without a panel come first
        lines += [f"### {path}: {panel.lower()}", ""] if panel else []
        for each in flags(command):
            if each.rich_help_panel == panel:
                lines += _flag(each)
    return lines


def _flag(flag: Any) -> list[str]:
    """One flag: its spellings, what it takes, what it does, and its default."""
    value, choices = _value(flag)
    spellings = ", ".join(spelling + value for spelling in [*flag.opts, *flag.secondary_opts])
    lines = [escaped(flag.help or "")]
    if choices:
        lines += ["", f"One of {', '.join(f'`{choice}`' for choice in choices)}."]
    if flag.show_default and not flag.is_flag and flag.default is not None:
        lines += ["", f"Default: `{flag.default}`."]
    return ["```{option} " + spellings, *lines, "```", ""]


def _value(flag: Any) -> tuple[str, tuple[Any, ...]]:
    """A word for the value that a flag takes, nothing for none; and the values to choose from."""
    if flag.is_flag:
        return "", ()
    if flag.metavar:
        return f" {flag.metavar.strip('<>').upper()}", ()
    annotation = flag.type_descriptor.annotation
    kinds = [annotation, *get_args(annotation)]
    choices = next((get_args(kind) for kind in kinds if get_origin(kind) is Literal), ())
    word = next((WORDS[kind] for kind in kinds if kind in WORDS), flag.name.upper().replace("_", "-"))
    return f" {word}", choices


def _help(text: str) -> list[str]:
    """The paragraphs of a help page; those that are commands become code."""
    lines: list[str] = []
    for paragraph in re.split(r"\n\s*\n", cleandoc(text)):
        if re.match(r"(lmgen|cat|zcat|paste) ", paragraph):
            lines += ["```text", paragraph.replace("\b\n", ""), "```", ""]
        else:
            lines += [escaped(" ".join(paragraph.split())), ""]
    return lines


def escaped(text: str) -> str:
    """A help text as Markdown: flags become code, and what would be taken for markup is escaped."""
    parts = re.split(r"(`[^`]*`|(?<![\w-])--?[a-z][\w-]*)", text)
    return "".join(
        f"`{part.strip('`')}`" if at % 2 else re.sub(r"([\\*_<>\[\]|#])", r"\\\1", part)
        for at, part in enumerate(parts)
    )


if __name__ == "__main__":
    print(reference())
