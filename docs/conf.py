"""
The site: what Sphinx is to do with the pages of this folder. `make docs` builds it, in docs/_build.

Four pages are made from what stands elsewhere, each time the site is built: the reference of commands from
the commands themselves (commands.py), the benchmarks from benchmarks/results, reliability from SECURITY.md,
and corpora from corpora/README.md.
"""

import importlib.metadata
import re
import sys
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parents[1]
sys.path.insert(0, str(ROOT))

from docs.commands import reference  # noqa: E402 - the repository is on the path from here on

project = "lmgen"
release = importlib.metadata.version("lmgen")
copyright = "lmgen's authors, MIT licence"  # noqa: A001 - Sphinx reads this name

extensions = ["myst_parser", "sphinx.ext.autodoc", "sphinx.ext.napoleon"]
exclude_patterns = ["_build"]
html_theme = "furo"
html_title = "lmgen"
html_copy_source = False

myst_heading_anchors = 3  # headings get the anchors that GitHub gives them
smartquotes = False  # they would make one dash of the two before a flag
default_role = "code"  # docstrings have `code` in single backticks
autodoc_member_order = "bysource"
autodoc_default_options = {"undoc-members": True}  # fields whose name says it all have no docstring
autodoc_typehints = (
    "none"  # types of other modules make a signature of ten lines; the text says what is taken
)
autodoc_preserve_defaults = True
napoleon_use_rtype = False

RESULTS = (
    "seeds",
    "minute",
    "budgets",
    "presets",
    "tricks",
    "ngram-embedding",
    "words",
    "vectors",
    "units",
    "tasks",
    "adapting",
    "compression",
    "state",
    "cells",
    "steps",
    "using",
    "attention",
    "startup",
    "serving",
    "ngram",
    "distributed",
    "gpu",
    "kills",
    "large-corpus",
    "defaults",
    "learning-rate",
    "fine-tuning",
    "labels",
    "normalization",
    *sorted(file.stem for file in (ROOT / "benchmarks" / "results").glob("lectures-*.md")),
)
"""The files of benchmarks/results, in the order of the page; those of the lecture pages come last."""


def setup(app: Any) -> None:
    """Called by Sphinx."""
    app.connect("source-read", completed)
    app.connect("autodoc-process-docstring", keep_colons, priority=400)  # before napoleon's 500


def completed(_app: Any, page: str, source: list[str]) -> None:
    """Append to a page what is made from elsewhere."""
    if page == "reference/commands":
        source[0] += reference()
    elif page == "benchmarks":
        source[0] += benchmarks()
    elif page == "reference/reliability":
        source[0] += re.sub(r"\(benchmarks/results/(\w+)\.md\)", r"(../benchmarks.md)", body("SECURITY.md"))
    elif page == "reference/corpora":
        source[0] += body("corpora/README.md")


def keep_colons(_app: Any, what: str, _name: str, _object: Any, _options: Any, lines: list[str]) -> None:
    """Let nobody take the words before a colon, in the first line about an attribute, for its type."""
    if what in ("attribute", "property"):
        lines.insert(0, r"\ ")  # shown as nothing


def benchmarks() -> str:
    """All results as sections of one page, with links between files as links between sections."""
    texts = {name: (ROOT / f"benchmarks/results/{name}.md").read_text(encoding="utf-8") for name in RESULTS}
    page = "\n".join(texts.values())
    for name, text in texts.items():
        page = page.replace(f"({name}.md)", f"(#{anchor(text.splitlines()[0])})")
    return re.sub("^#", "##", page, flags=re.MULTILINE)


def anchor(heading: str) -> str:
    """The anchor that GitHub and MyST give a heading."""
    words = re.sub(r"[^\w\s-]", "", heading.lstrip("#").strip().lower())
    return words.replace(" ", "-")


def body(path: str) -> str:
    """A text of the repository without its heading, for the page has one."""
    return (ROOT / path).read_text(encoding="utf-8").partition("\n")[2]
