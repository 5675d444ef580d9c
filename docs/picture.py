"""
Pictures of a terminal: of a training run and of a text in the colours of its surprisal, docs/images/train.svg
and heat.svg. `python -m docs.picture` makes both anew, `python -m docs.picture heat` that one alone.

`lmgen train --minutes 1` runs on a pseudo-terminal of 100 columns. After some seconds it is ended, and what
it has drawn by then is read as a terminal would, line by line, and rendered by rich. Its model, as it is
then, reads the beginning of lmgen's own README.md.
"""

import fcntl
import os
import re
import shutil
import struct
import subprocess
import sys
import tempfile
import termios
import time
from pathlib import Path

from rich._export_format import CONSOLE_SVG_FORMAT
from rich.console import Console
from rich.terminal_theme import MONOKAI
from rich.text import Text

COLUMNS, LINES = 100, 40

SECONDS = 50.0
"""From the start of training on; the run of a minute is near its end then, and the live display is on."""

FORMAT = re.sub(r"@font-face \{\{.*?\}\}", "", CONSOLE_SVG_FORMAT, flags=re.DOTALL)
"""rich's, without fonts from the web: whoever reads the picture has a monospaced one."""

IMAGES = Path(__file__).parent / "images"

TRAIN = ["train", "--minutes", "1", "--out", "checkpoints/first"]

HEAT = ["perplexity", "checkpoints/first", "README.md", "--by", "token", "--format", "heat"]

HEAT_LINES = 24
"""Lines of the coloured text."""


def main() -> None:
    """Write the pictures that are named, or all."""
    wanted = sys.argv[1:] or ["train", "heat"]
    with tempfile.TemporaryDirectory() as folder:
        shown = on_a_terminal(TRAIN, Path(folder))
        if "train" in wanted:
            draw("train", TRAIN, screen(shown))
        if "heat" in wanted:
            shutil.copy(IMAGES.parents[1] / "README.md", folder)
            coloured = subprocess.run(
                [sys.executable, "-m", "lmgen", *HEAT, "--quiet"],
                cwd=folder,
                env={**os.environ, "FORCE_COLOR": "1"},
                capture_output=True,
                text=True,
                check=True,
            )
            draw("heat", HEAT, coloured.stdout.splitlines()[:HEAT_LINES])


def draw(name: str, command: list[str], lines: list[str]) -> None:
    """Write the picture of a command with what it has printed."""
    console = Console(record=True, width=COLUMNS, file=open(os.devnull, "w"), legacy_windows=False)  # noqa: SIM115, PTH123
    console.print(Text(f"$ lmgen {' '.join(command)}", style="bold"))
    for line in lines:
        console.print(Text.from_ansi(line), soft_wrap=True)
    picture = IMAGES / f"{name}.svg"
    picture.write_text(
        console.export_svg(title=f"lmgen {command[0]}", theme=MONOKAI, unique_id=name, code_format=FORMAT)
    )
    print(picture)


def on_a_terminal(arguments: list[str], folder: Path) -> str:
    """What a command has written to a terminal after some seconds of training; it is ended then."""
    ours, theirs = os.openpty()
    fcntl.ioctl(theirs, termios.TIOCSWINSZ, struct.pack("HHHH", LINES, COLUMNS, 0, 0))
    environment = {**os.environ, "TERM": "xterm-256color", "COLORTERM": "truecolor"}
    shown, ends = b"", float("inf")
    with subprocess.Popen(
        [sys.executable, "-m", "lmgen", *arguments], cwd=folder, stdout=theirs, stderr=theirs, env=environment
    ) as process:
        while time.monotonic() < ends:
            shown += os.read(ours, 1 << 16)
            if ends == float("inf") and b"trained" in shown:
                ends = time.monotonic() + SECONDS
        process.kill()
    os.close(theirs)
    os.close(ours)
    return shown.decode(errors="replace")


def screen(shown: str) -> list[str]:
    """
    The lines of a terminal after what was written to it, with their colours.

    Understood is what the live display of rich writes: text and colours, line ends, carriage returns, one
    line up, and erasing a line.
    """
    lines, row = [""], 0
    for part in re.findall(r"\x1b\[[0-9;?]*[A-Za-z]|\r|\n|[^\x1b\r\n]+", shown):
        if part == "\n":
            row += 1
            lines += [""] * (row + 1 - len(lines))
        elif part == "\x1b[1A":
            row -= 1
        elif part == "\x1b[2K":
            lines[row] = ""
        elif part.endswith("m") or not part.startswith(("\x1b", "\r")):
            lines[row] += part
    while lines and not lines[-1].strip():
        lines.pop()
    return lines


if __name__ == "__main__":
    main()
