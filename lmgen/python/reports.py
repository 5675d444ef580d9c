"""Write runs as a page."""

from collections.abc import Callable
from pathlib import Path

from lmgen.calls import in_python_words
from lmgen.python.given import ignore
from lmgen.report import writing
from lmgen.report.writing import WrittenReport
from lmgen.text.sources import Text


def write_report(
    *runs: str | Path,
    out: str | Path,
    text: str | Path | Text | None = None,
    svg: str | Path | None = None,
    characters: int = 50_000,
    adapt: bool | None = None,
    overwrite: bool = False,
    on_note: Callable[[str], None] | None = None,
) -> WrittenReport:
    """
    Write a run, or several side by side, as one HTML page (`pip install "lmgen[report]"`).

        lmgen.write_report("checkpoints/lstm", "checkpoints/gru", out="compared.html")

    Args:
        runs: run folders and model files; none: the newest under `checkpoints/`.
        out: path of the page.
        text: what the models are measured on: a path, or a str with a line end in it. None: the text that the
            runs have held out, which has to be the same.
        svg: a folder, for each picture as a file of its own.
        characters: how much of the text is taken, from its beginning.
        adapt: also the models that learn from the text as they read it. None: if the run has adapted before.
        overwrite: replace an existing page and pictures.
        on_note: callback for the notes that `lmgen report` prints.

    Raises:
        ConfigError: a number is out of range, or a run is named twice.
        CorpusError: the text cannot be read or is empty, or the runs have held out different texts.
        MissingExtraError: matplotlib or jinja2 is not installed.
        ModelError: there is no such run, it predicts labels, or a file exists.
        WriteError: a file cannot be written.
    """
    with in_python_words():
        return writing.write_report(
            runs or (None,),
            Path(out),
            text=text,
            svg=None if svg is None else Path(svg),
            characters=characters,
            adapt=adapt,
            overwrite=overwrite,
            on_note=on_note or ignore,
        )
