"""Write a report: `lmgen report`, and `lmgen.write_report` from Python."""

from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from itertools import chain
from pathlib import Path
from typing import Any

from lmgen.data.run_folder import files_with, find_model
from lmgen.errors import ModelError
from lmgen.extras import needed
from lmgen.files import behind_links, refuse_existing, refuse_unwritable, write_text
from lmgen.report.subject import CHARACTERS, subjects_of
from lmgen.settings import whole_number
from lmgen.text.sources import Text


@dataclass(frozen=True, slots=True)
class WrittenReport:
    """The files of a report."""

    out: str
    """The page."""
    bytes: int
    """Its size."""
    pictures: tuple[str, ...]
    """The pictures that were written one by one."""

    def __str__(self) -> str:
        return f"report    {self.out}, {self.bytes:,} bytes"

    def to_json(self) -> dict[str, Any]:
        """What `lmgen report --json` prints."""
        return {**asdict(self), "pictures": list(self.pictures)}


def write_report(
    models: Sequence[str | Path | None],
    out: Path,
    *,
    text: str | Path | Text | None = None,
    svg: Path | None = None,
    characters: int = CHARACTERS,
    adapt: bool | None = None,
    overwrite: bool = False,
    on_note: Callable[[str], None] = lambda _: None,
    on_part: Callable[[str], None] = lambda _: None,
) -> WrittenReport:
    """
    Write a page about one or several models.

    Args:
        models: run folders and model files, at least one; None: the newest under `checkpoints/`.
        out: the page.
        text: what they are measured on; None: the text that the runs have held out.
        svg: a folder for the pictures, each as a file.
        characters: how much of the text is taken, from its beginning.
        adapt: also the models that learn from the text; None: if a run has adapted before.
        overwrite: replace an existing page and existing pictures.
        on_note: called with what a reader should know, which is in the page, too.
        on_part: called with the name of each part of the work when it begins.

    Raises:
        ConfigError: a number is out of range, a model is named twice, or `out` is the text.
        CorpusError: the text cannot be read or is empty, or the runs have held out different texts.
        MissingExtraError: matplotlib or jinja2 is not installed.
        ModelError: there is no such model, it labels texts, or a file exists.
        NumericalError: a score is not a finite number.
        WriteError: a file cannot be written.
    """
    for package in ("jinja2", "matplotlib"):  # now, and not after a minute of work
        needed(package, "report")
    whole_number(characters, "characters")
    files = {find_model(None if model is None else Path(model)) for model in models}
    refuse_existing(out, overwrite=overwrite, read=[text, *chain.from_iterable(map(files_with, files))])
    refuse_unwritable(out)
    _check_folder(svg, overwrite=overwrite)
    if svg is not None and out.resolve() in (svg.resolve(), *svg.resolve().parents):
        raise ModelError(f"--out {out} is the page, and --svg {svg} needs a folder there; name another --out")
    if svg is not None and out.suffix == ".svg" and out.resolve().parent == svg.resolve():
        raise ModelError(f"--out {out} would be among the pictures of --svg {svg}; name another --out")
    notes: list[str] = []

    def note(sentence: str) -> None:
        if sentence not in notes:
            notes.append(sentence)
            on_note(sentence)

    subjects = subjects_of(models, text, characters, note)
    from lmgen.report.charts import pictures_of, shared_pictures
    from lmgen.report.collected import collected
    from lmgen.report.page import page

    in_units = all(subject.tokenizer.unit != "document" for subject in subjects)
    found = [
        collected(subject, places_in_units=in_units, adapt=adapt, on_note=note, on_part=on_part)
        for subject in subjects
    ]
    on_part("pictures")
    pictures = shared_pictures(found)
    for number, model in enumerate(found, 1):
        pictures += pictures_of(model, f"-{number}" if number > 1 else "")
    html = page(found, {picture.name: picture for picture in pictures}, notes)
    written = [] if svg is None else [svg / f"{picture.name}.svg" for picture in pictures]
    for path, picture in zip(written, pictures, strict=False):
        write_text(path, picture.alone())
    write_text(behind_links(out), html)
    return WrittenReport(str(out), out.stat().st_size, tuple(map(str, written)))


def _check_folder(svg: Path | None, *, overwrite: bool) -> None:
    """Refuse a folder that holds pictures already or cannot be written to, and what is no folder."""
    if svg is None:
        return
    if svg.exists() and not svg.is_dir():
        raise ModelError(f"--svg {svg} is a file; name a folder for the pictures")
    if not overwrite and svg.is_dir() and any(svg.glob("*.svg")):
        raise ModelError(
            f"there are pictures in {svg} already; add --overwrite, or name another folder (--svg)"
        )
    refuse_unwritable(svg / "picture.svg")
