"""
How the pictures of a report look: matplotlib's SVG with the colours of the page.

Colours are drawn as placeholders and replaced by CSS variables, so pictures follow the page from light to
dark and onto paper; texts stay texts. The same data give the same bytes: names in the SVG are made from the
picture's own name, and it holds no date.

Why matplotlib, when inspection/chart.py writes SVG without it: a report needs bars, markers, reliability and
scatter plots with ticks on logarithmic scales, legends that find their place and labels that fit; all of that
is a library's work. The pictures of `lmgen inspect` and `vectors plot` are lines and points, and have to be
there without an extra.
"""

import re
import warnings
from collections.abc import Callable
from dataclasses import dataclass
from io import StringIO
from typing import Any

from lmgen.extras import needed

COLOURS = 8
"""Series that can be told apart by colour; the next ones begin again."""

SIZE = (4.6, 3.0)
"""In inches; small, so that letters are large enough on a phone and three fit beside each other on a desk."""

MARGINS = {"left": 0.165, "right": 0.975, "bottom": 0.15, "top": 0.97}
"""Around the axes, as shares of the picture."""

INK, MUTED, GRID, SURFACE = "#0000f1", "#0000f2", "#0000f3", "#0000f4"

VARIABLES = {
    INK: "--ink",
    MUTED: "--muted",
    GRID: "--grid",
    SURFACE: "--surface",
    **{f"#0000e{n}": f"--c{n}" for n in range(COLOURS)},
}
"""Placeholders, and the variables of the page's style sheet that they stand for."""

SETTINGS: dict[str, Any] = {
    "svg.fonttype": "none",
    "text.parse_math": False,
    "font.size": 9,
    "axes.titlesize": 9.5,
    "axes.labelsize": 9,
    "xtick.labelsize": 8.5,
    "ytick.labelsize": 8.5,
    "legend.fontsize": 8.5,
    "legend.frameon": False,
    "legend.handlelength": 1.6,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.edgecolor": MUTED,
    "axes.labelcolor": INK,
    "axes.facecolor": "none",
    "axes.grid": True,
    "axes.axisbelow": True,
    "grid.color": GRID,
    "grid.linewidth": 0.6,
    "xtick.color": MUTED,
    "ytick.color": MUTED,
    "xtick.labelcolor": INK,
    "ytick.labelcolor": INK,
    "text.color": INK,
    "lines.linewidth": 1.5,
    "lines.markersize": 3.5,
    "figure.facecolor": SURFACE,
    "savefig.facecolor": SURFACE,
}

LIGHT = {
    "--ink": "#1d2228",
    "--muted": "#68717b",
    "--grid": "#e3e6e9",
    "--surface": "#ffffff",
    "--c0": "#0b6fb8",
    "--c1": "#c65102",
    "--c2": "#008463",
    "--c3": "#a8447f",
    "--c4": "#8f6400",
    "--c5": "#3a86c8",
    "--c6": "#6b5bb5",
    "--c7": "#5f6b73",
}
DARK = {
    "--ink": "#e4e7ea",
    "--muted": "#9aa4ae",
    "--grid": "#333a41",
    "--surface": "#1b1f24",
    "--c0": "#62b4f0",
    "--c1": "#f2914f",
    "--c2": "#45c9a4",
    "--c3": "#e58fc0",
    "--c4": "#e0b341",
    "--c5": "#9ad0f5",
    "--c6": "#b3a6f0",
    "--c7": "#a5b0b8",
}
"""The colours of page and pictures; those of series can be told apart, also by the colour-blind."""


def declared(colours: dict[str, str]) -> str:
    """Colours as CSS: `--ink: #1d2228; --muted: ...`."""
    return "; ".join(f"{name}: {value}" for name, value in colours.items())


@dataclass(frozen=True, slots=True)
class Picture:
    """A picture of a report."""

    name: str
    """Of its file, without the ending."""
    title: str
    svg: str
    """An `<svg>` element whose colours are variables of the page."""

    def alone(self) -> str:
        """The picture as a file of its own, with the colours for light and dark."""
        begin = self.svg.index(">") + 1
        style = (
            "<style>svg * { stroke-linejoin: round; stroke-linecap: butt } "
            f"svg {{ {declared(LIGHT)} }} "
            f"@media (prefers-color-scheme: dark) {{ svg {{ {declared(DARK)} }} }}</style>"
        )
        return f'<?xml version="1.0" encoding="utf-8"?>\n{self.svg[:begin]}{style}{self.svg[begin:]}\n'


def colour(number: int) -> str:
    """The placeholder of the n-th series."""
    return f"#0000e{number % COLOURS}"


def drawn(
    name: str,
    title: str,
    draw: Callable[[Any], None],
    *,
    size: tuple[float, float] = SIZE,
    fits: bool = False,
) -> Picture:
    """
    Make a picture.

    Args:
        name: of its file, different for each picture of a page.
        title: above it on the page, and what screen readers say.
        draw: draws into the axes that it gets.
        size: in inches.
        fits: whether room is made for names of any length at the axes, which takes twice the time.

    Raises:
        MissingExtraError: matplotlib is not installed.
    """
    matplotlib = needed("matplotlib", "report")
    figure_module = needed("matplotlib.figure", "report")
    settings = {**SETTINGS, "svg.hashsalt": name}
    with warnings.catch_warnings(), matplotlib.rc_context(settings):
        warnings.filterwarnings("ignore", message="Glyph .* missing from")  # texts stay texts
        figure = figure_module.Figure(figsize=size, layout="constrained" if fits else None)
        if not fits:
            figure.subplots_adjust(**MARGINS)
        draw(figure.add_subplot())
        written = StringIO()
        figure.savefig(written, format="svg", metadata={"Date": None, "Creator": None})
    return Picture(name, title, _for_page(written.getvalue(), name, title))


def logarithmic(axes: Any, which: str) -> None:
    """Make the `x` or `y` axis logarithmic, with plain numbers at its ticks."""
    ticker = needed("matplotlib.ticker", "report")
    getattr(axes, f"set_{which}scale")("log")
    axis = getattr(axes, f"{which}axis")
    axis.set_major_formatter(ticker.FuncFormatter(lambda value, _: plain(value)))
    axis.set_minor_formatter(ticker.NullFormatter())


def plain(value: float) -> str:
    """A number at a tick: `0.001`, `10,000`, `1e+06`."""
    return f"{value:,.6g}" if value == 0 or 1e-4 <= abs(value) < 1e6 else f"{value:.0e}"


def _for_page(svg: str, name: str, title: str) -> str:
    """The document as an element with the page's colours and font, its names apart from others'."""
    svg = svg[svg.index("<svg") :].strip()
    svg = re.sub(
        r"<metadata>.*?</metadata>|<defs>\s*<style.*?</style>\s*</defs>|<!--.*?-->", "", svg, flags=re.DOTALL
    )
    svg = re.sub(r"\s*\n\s*", " ", svg).replace("> <", "><")
    svg = re.sub(r"<[^>]*>", lambda tag: _tag(tag[0], name), svg)
    svg = re.sub(
        r'^<svg [^>]*?viewBox="([^"]*)"[^>]*>', r'<svg xmlns="http://www.w3.org/2000/svg" viewBox="\1">', svg
    )
    return svg.replace("<svg ", f'<svg role="img" aria-label="{_attribute(title)}" ', 1)


def _tag(tag: str, name: str) -> str:
    """A tag with the page's colours and font, rounded numbers, and names that begin with the picture's."""
    for placeholder, variable in VARIABLES.items():
        tag = tag.replace(placeholder, f"var({variable})")
    tag = re.sub(r"font-family: [^;\"]*", "font-family: var(--chart-font, sans-serif)", tag)
    tag = re.sub(r'(?<=\s)id="([^"]*)"', rf'id="{name}-\1"', tag).replace("url(#", f"url(#{name}-")
    tag = tag.replace('xlink:href="#', f'href="#{name}-').replace(" z ", "z")
    tag = re.sub(r' transform="rotate\(-0 [^"]*"', "", tag)
    return re.sub(r"-?\d+\.\d{3,}", lambda number: f"{float(number[0]):.2f}", tag)


def printable(text: str) -> str:
    """A text that XML can hold."""
    return "".join(letter if letter.isprintable() else "\ufffd" for letter in text)


def _attribute(text: str) -> str:
    """A text in an attribute of XML."""
    return printable(text).replace("&", "&amp;").replace("<", "&lt;").replace('"', "&quot;")
