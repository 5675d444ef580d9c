"""The page of a report, read as HTML: what is in it, that it is harmless, and that it is the same again."""

import base64
import html
import json
import os
import re
import shutil
import zlib
from collections.abc import Sequence
from functools import cache
from html.parser import HTMLParser
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np
import pytest
from typer.testing import CliRunner

import lmgen
from lmgen import extras
from lmgen.cli.app import app
from lmgen.errors import ConfigError, CorpusError, MissingExtraError, ModelError
from lmgen.report import charts
from lmgen.report.collected import Collected
from lmgen.report.drawing import Picture
from lmgen.report.page import as_json
from tests.process import lmgen as command
from tests.report import runs

pytest.importorskip("matplotlib", reason="the extra `report` is not installed")
pytest.importorskip("jinja2", reason="the extra `report` is not installed")

pytestmark = pytest.mark.slow

HOSTILE = (
    'one Two </script><script>document.title = "run"</script><img src=x onerror="document.title = \'run\'">'
    " &amp; <!-- \u2028 five. (six)\n"
)


class Parsed(HTMLParser):
    """The elements of a page with their texts."""

    def __init__(self, page: str) -> None:
        super().__init__()
        self.elements: list[tuple[str, dict[str, str | None]]] = []
        self.open: list[str] = []
        self.texts: dict[str, list[str]] = {}
        self.feed(page)
        self.close()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.elements.append((tag, dict(attrs)))
        if tag not in ("meta", "link", "input"):
            self.open.append(tag)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.elements.append((tag, dict(attrs)))

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        if self.open:
            self.texts.setdefault(self.open[-1], []).append(data)

    def all(self, tag: str) -> list[dict[str, str | None]]:
        return [attributes for name, attributes in self.elements if name == tag]

    @property
    def data(self) -> Any:
        return json.loads(self.texts["script"][0])


@cache
def _folder() -> "TemporaryDirectory[str]":
    return TemporaryDirectory(prefix="lmgen-reports-")


@cache
def report(*models: Path, text: str | None = None, **settings: Any) -> str:
    """The page about some models; tests only read it."""
    out = Path(_folder().name) / f"{len(list(Path(_folder().name).iterdir()))}.html"
    lmgen.write_report(*models, out=out, text=text, **settings)
    return out.read_text(encoding="utf-8")


def cells(page: str, table: str) -> list[list[str]]:
    """The cells of the rows of a table, as texts."""
    [found] = re.findall(rf'<table class="{table}">.*?</table>', page, re.DOTALL)
    rows = re.findall(r"<tr.*?</tr>", found, re.DOTALL)
    return [re.findall(r"<t[dh][^>]*>(.*?)</t[dh]>", row, re.DOTALL) for row in rows]


def test_a_page_has_every_part_and_every_picture_and_no_text_is_lost() -> None:
    page = report(runs.run())
    parsed = Parsed(page)

    assert parsed.open == []
    assert [each["id"] for each in parsed.all("section")] == [
        *("what", "learned", "predicts", "text", "cells", "gates", "vectors", "copies", "notes")
    ]
    pictures = [str(each["id"]) for each in parsed.all("figure") if each.get("class") == "picture"]
    assert pictures[:9] == [
        f"picture-{name}"
        for name in (
            *("loss", "gradient-norm", "learning-rate", "speed", "scores"),
            *("by-place", "by-context", "by-frequency", "calibration"),
        )
    ]
    assert {"picture-gates", "picture-gradients", "picture-vectors-pca", "picture-novelty"} <= set(pictures)
    assert "".join(parsed.texts["title"]).startswith("lstm: lmgen report")
    samples = [text for text in parsed.texts["pre"] if len(text) > 50]
    kept = [json.loads(line)["text"] for line in (runs.run() / "samples.jsonl").read_text().splitlines()]
    assert samples[: len(kept)] == kept


def test_nothing_is_fetched_and_no_name_is_given_twice() -> None:
    page = report(runs.run(), runs.run(cell="gru"))
    parsed = Parsed(page)

    for tag, attributes in parsed.elements:
        for name in ("src", "href", "xlink:href", "action", "srcset", "data"):
            value = attributes.get(name)
            assert value is None or value.startswith(("#", "data:,")), (tag, name, value)
    assert "url(http" not in page
    assert "@import" not in page
    names = [attributes["id"] for _, attributes in parsed.elements if attributes.get("id")]
    assert len(names) == len(set(names))
    for place in re.findall(r'(?:href="|url\()#([^")]+)', page):
        assert place in names


def test_the_table_has_the_figures_of_perplexity() -> None:
    model = runs.model()
    rows = cells(report(runs.run()), "scores")
    scores = list(model.perplexity(orders=range(1, 4), mix=True))

    assert rows[0] == ["model", "nats a token", "perplexity", "bits a character", "word perplexity"]
    assert [row[0] for row in rows[1:]] == ["ngram-1", "ngram-2", "ngram-3", "lstm", "mixture"]
    assert [row[1] for row in rows[1:]] == [f"{score.nats_per_token:.4f}" for score in scores]
    assert [row[3] for row in rows[1:]] == [f"{score.bits_per_character:.4f}" for score in scores]


def test_the_data_block_holds_surprisal_rank_and_guesses_of_every_token() -> None:
    text = "one Two\nsix. (five) one\n"
    model = runs.model()
    data = Parsed(report(runs.run(), text=text)).data
    [run] = data["runs"]
    assert data["texts"] == [text]
    assert run["lengths"] is None
    assert [each["name"] for each in run["models"]] == ["lstm", "ngram-3"]

    own = run["models"][0]
    packet = np.frombuffer(zlib.decompress(base64.b64decode(own["packet"])), np.uint8)
    count, guesses = len(text), own["guesses"]
    assert len(packet) == count * (3 + guesses * (own["width"] + 1))
    planes = packet.reshape(-1, count)
    printed = list(model.perplexity(text, by="token"))
    assert planes[0] / 10 == pytest.approx([each.surprisal_bits for each in printed], abs=0.051)
    assert (planes[1] + 256 * planes[2].astype(int)).tolist() == [each.rank for each in printed]
    best = model.next(text[:8], top=5)
    assert [own["spellings"][planes[3 + g][8]] for g in range(5)] == [
        each.token.replace(" ", "▁") for each in best
    ]
    assert (planes[8:, 8] / 255) ** 2 == pytest.approx([each.probability for each in best], abs=0.004)


def test_a_hostile_text_stays_a_text(tmp_path: Path) -> None:
    page = report(runs.run(), text=HOSTILE * 3)
    parsed = Parsed(page)

    assert parsed.open == []
    assert parsed.data["texts"] == [HOSTILE * 3]
    assert [each.get("type") for each in parsed.all("script")] == ["application/json", None]
    assert parsed.all("img") == []
    assert "&lt;/script&gt;" in page  # in the table of words
    (tmp_path / "$x$ <b>&").mkdir()
    (tmp_path / "$x$ <b>&" / "a.safetensors").write_bytes((runs.run() / "model.safetensors").read_bytes())
    named = Parsed(report(tmp_path / "$x$ <b>&" / "a.safetensors", runs.run(), text=HOSTILE))
    assert named.open == []
    assert named.all("b") == [{}] * len(named.all("b"))


def test_pictures_name_runs_whatever_these_are_called(tmp_path: Path) -> None:
    names = ["_old", "a\x1b[1m\nb", os.fsdecode(b"\xff"), "$x$ <b>&"]
    for name in names:
        shutil.copytree(runs.run(), tmp_path / name)
    page = report(*(tmp_path / name for name in names), text="one Two\n")

    assert Parsed(page).open == []
    for picture in ("loss", "gradient-norm"):
        svg = page[page.index(f'id="picture-{picture}"') :].partition("</figure>")[0]
        legend = html.unescape("\n".join(re.findall("<text[^>]*>([^<]*)</text>", svg)))
        for name in ("_old", "a\ufffd[1m\ufffdb", "\ufffd", "$x$ <b>&"):
            assert name in legend


@pytest.mark.parametrize(
    "text", ["</script>", "<!--<script>", "]]>", "\u2028\u2029", "\udcff", "a\x00b\\u003c", "&amp;😀"]
)
def test_json_in_a_script_element_comes_back_and_ends_nothing(text: str) -> None:
    written = as_json({text: [text]})

    assert json.loads(written) == {text: [text]}
    assert not re.search("[<>&\u2028\u2029]", written)
    written.encode("utf-8")


def test_several_runs_stand_side_by_side_with_a_switch_for_the_rest() -> None:
    one, other = runs.run(), runs.run(tokenizer="word")
    page = report(one, other, text=runs.text(3))
    parsed = Parsed(page)

    assert [each["value"] for each in parsed.all("input") if each["name"] == "run"] == ["0", "1"]
    rows = cells(page, "scores")
    assert [row[:2] for row in rows[1:]] == [
        *(["lstm", name] for name in ("ngram-1", "ngram-2", "ngram-3", "lstm", "mixture")),
        *(["word", name] for name in ("ngram-1", "ngram-2", "ngram-3", "lstm", "mixture")),
    ]
    shown = [("hidden" in each) for _, each in parsed.elements if each.get("class") == "of-run"]
    assert shown == [False, True] * (len(shown) // 2)
    assert "picture-gates-2" in page
    assert page.count('id="picture-loss"') == 1
    assert "These runs read different tokens" in page
    data = parsed.data
    assert len(data["texts"]) == 1
    assert [run["count"] for run in data["runs"]] == [len(runs.text(3)), len(runs.text(3).split()) + 200]


def test_what_runs_share_stands_there_once() -> None:
    """Runs on the same training text have the same n-gram models."""
    rows = cells(report(runs.run(), runs.run(cell="gru")), "scores")

    assert [row[:2] for row in rows[1:]] == [
        *(["lstm, gru", f"ngram-{order}"] for order in (1, 2, 3)),
        *(["lstm", "lstm"], ["lstm", "mixture"], ["gru", "gru"], ["gru", "mixture"]),
    ]


def test_the_same_run_gives_the_same_bytes(tmp_path: Path) -> None:
    lmgen.write_report(runs.run(), out=tmp_path / "again.html", svg=tmp_path / "pictures")

    assert (tmp_path / "again.html").read_text(encoding="utf-8") == report(runs.run())
    pictures = sorted((tmp_path / "pictures").iterdir())
    assert {"loss.svg", "scores.svg", "gates.svg"} <= {path.name for path in pictures}
    for path in pictures:
        svg = path.read_text(encoding="utf-8")
        assert "prefers-color-scheme: dark" in svg
        assert "#0000" not in svg
        assert re.findall(r'(?:href|src)="(?!#)', svg) == []


@pytest.mark.parametrize(
    ("model", "absent"),
    [
        ("ngram.safetensors", ["a model file on its own", "ngram-3 is not a network", "no embedding"]),
        ("model.safetensors", ["There is no n-gram model"]),
    ],
)
def test_a_model_file_has_a_page_without_what_only_a_run_knows(
    model: str, absent: list[str], tmp_path: Path
) -> None:
    """A copy of the file, which is in no run folder."""
    (tmp_path / model).write_bytes((runs.run() / model).read_bytes())
    page = report(tmp_path / model, text=runs.text(2)[:400])

    assert Parsed(page).open == []
    assert "comes without the text that it was trained on" in page
    for sentence in absent[:1] if model == "ngram.safetensors" else []:
        assert sentence in page
    for sentence in absent[1:]:
        assert sentence in page


@pytest.mark.parametrize(
    "settings",
    [
        {"cell": "rnn", "layers": 2},
        {"unit": "line", "tokenizer": "byte"},
        {"tokenizer": "bpe", "vocab_size": 300},
        {"layers": 0, "dense_layers": 1, "convolution": "3x8"},
        {"embedding_size": 0, "valid": 0},
        {"baseline_order": 0},
        {"unit": "record"},
    ],
    ids=str,
)
def test_runs_of_other_kinds_have_what_makes_sense_for_them(settings: dict[str, Any]) -> None:
    text = runs.text(4)[:300] + "é “😀”\n\n\x00"
    page = report(runs.run(**settings), text=text)
    parsed = Parsed(page)

    assert parsed.open == []
    assert "".join(parsed.data["texts"]).startswith(text[:200])
    assert ("This model has no embedding" in page) == (settings.get("embedding_size") == 0)
    assert ('id="picture-gates"' in page) == (settings.get("layers") not in (0, 2))
    assert ('id="picture-gradients"' in page) == (settings.get("layers") != 0)


def test_a_text_of_one_token_is_enough() -> None:
    page = report(runs.run(), text="\n")

    assert Parsed(page).data["runs"][0]["count"] == 1
    assert "too few tokens for gradients" in page


def test_a_run_that_adapted_has_rows_of_models_that_do(tmp_path: Path) -> None:
    page = report(runs.run(), text=runs.text(5)[:200], adapt=True)

    assert [row[0] for row in cells(page, "scores")[-3:]] == ["lstm+adapt", "ngram-3+adapt", "mixture+adapt"]
    assert "lstm+adapt" not in report(runs.run())


def test_what_cannot_be_written_is_said_before_anything_is_done(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "there.html").write_text("mine")
    (tmp_path / "svg").mkdir()
    (tmp_path / "svg" / "mine.svg").write_text("mine")

    with pytest.raises(ModelError, match=r"there is a file .*there\.html already; replace it"):
        lmgen.write_report(runs.run(), out=tmp_path / "there.html")
    with pytest.raises(ModelError, match=r"there are pictures in .*svg already; add overwrite=True"):
        lmgen.write_report(runs.run(), out=tmp_path / "new.html", svg=tmp_path / "svg")
    for page in (tmp_path / "both", tmp_path / "both" / "loss.svg", tmp_path / "both" / ".." / "both"):
        with pytest.raises(ModelError, match="name another"):
            lmgen.write_report(runs.run(), out=page, svg=tmp_path / "both")
        assert not (tmp_path / "both").exists()
    with pytest.raises(ModelError, match="is a file; name a folder for the pictures"):
        lmgen.write_report(runs.run(), out=tmp_path / "new.html", svg=tmp_path / "there.html")
    with pytest.raises(ConfigError, match="named twice"):
        lmgen.write_report(runs.run(), runs.run(), out=tmp_path / "new.html")
    linked = tmp_path / "linked"
    linked.symlink_to(runs.run())
    with pytest.raises(ConfigError, match="linked is named twice"):
        lmgen.write_report(runs.run(), linked, out=tmp_path / "new.html")
    with pytest.raises(ConfigError, match="characters is 0, but has to be at least 1"):
        lmgen.write_report(runs.run(), out=tmp_path / "new.html", characters=0)
    with pytest.raises(CorpusError, match="cannot read"):
        lmgen.write_report(runs.run(), out=tmp_path / "new.html", text="gone.txt", svg=tmp_path / "new")
    assert not (tmp_path / "new").exists()
    monkeypatch.setitem(extras.PACKAGES, "no_such", "no-such")
    monkeypatch.setattr("lmgen.report.writing.needed", lambda _module, extra: extras.needed("no_such", extra))
    with pytest.raises(MissingExtraError, match=r'get it with pip install "lmgen\[report\]"'):
        lmgen.write_report(runs.run(), out=tmp_path / "new.html")
    assert not (tmp_path / "new.html").exists()
    assert (tmp_path / "svg" / "mine.svg").read_text() == "mine"


def test_the_command_writes_what_python_writes(tmp_path: Path) -> None:
    arguments = ["report", str(runs.run()), "--out", "page.html", "--svg", "pictures"]
    done = command(*arguments, cwd=tmp_path)
    assert done.returncode == 0, done.stderr

    assert (tmp_path / "page.html").read_text(encoding="utf-8") == report(runs.run())
    size, count = (tmp_path / "page.html").stat().st_size, len(list((tmp_path / "pictures").iterdir()))
    assert done.stdout == f"page.html: {size:,} bytes, {count} pictures in pictures\n"
    assert done.stderr == f"note: scoring the run's own held-out text, {runs.run()}/data/valid.txt\n"
    again = command(*arguments, "--json", cwd=tmp_path)
    assert (again.returncode, again.stderr.count("error:")) == (1, 1)
    (tmp_path / "text.txt").write_text("one Two\n")
    done = command(
        "report", str(runs.run()), "text.txt", "--out", "page.html", "--overwrite", "--json", cwd=tmp_path
    )
    assert json.loads(done.stdout)["out"] == "page.html"
    assert command("report", cwd=tmp_path).returncode == 2
    piped = command(
        *["report", str(runs.run()), str(runs.run(cell="gru")), "-", "--out", "piped.html"],
        cwd=tmp_path,
        text="one Two\n",
    )
    assert piped.returncode == 0, piped.stderr
    assert Parsed((tmp_path / "piped.html").read_text()).data["texts"] == ["one Two\n"]


def test_models_of_lines_and_of_documents_share_one_scale_of_places(monkeypatch: pytest.MonkeyPatch) -> None:
    """Characters begin at 0, and tokens of a unit at 1."""
    begins: list[float] = []
    draw = charts.shared_pictures

    def shared_pictures(models: Sequence[Collected]) -> list[Picture]:
        begins.extend(means.xs[0] for model in models for means in model.places)
        return draw(models)

    monkeypatch.setattr(charts, "shared_pictures", shared_pictures)
    page = report(runs.run(), runs.run(unit="line"), text=runs.text(2))

    assert "By place in the line" in page
    assert set(begins) == {0}


def test_vectors_that_fill_no_plane_are_a_part_that_is_missing() -> None:
    page = report(runs.run(embedding_size=1))

    assert "too few tokens for a picture, or vectors that fill no plane" in page
    assert "picture-vectors-pca" not in page


def test_tokens_are_called_frequent_where_their_counts_are_known(tmp_path: Path) -> None:
    alone = tmp_path / "alone.safetensors"
    shutil.copy(runs.run() / "model.safetensors", alone)

    assert "most frequent tokens, by PCA" in report(runs.run())
    assert re.search(r"Vectors of the first \d+ tokens, by PCA", report(alone, text=runs.text(2)))


def test_models_of_bytes_are_asked_about_any_bytes(tmp_path: Path) -> None:
    data = b"\x00\xff\n" * 20
    (tmp_path / "bytes").write_bytes(data)
    models = [str(tmp_path / name) for name in ("one.safetensors", "other.safetensors")]
    for model in models:
        ngram = ["ngram", str(tmp_path / "bytes"), "--tokenizer", "byte", "--order", "2", "--out", model]
        assert CliRunner().invoke(app, ngram).exit_code == 0
    for count in (1, 2):
        out = tmp_path / f"{count}.html"
        done = CliRunner().invoke(app, ["report", *models[:count], "-", "--out", str(out)], input=data)
        assert done.exit_code == 0, done.stderr
        assert "<code>standard input</code>" in out.read_text(encoding="utf-8")
