import json
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
import typer
from typer.testing import CliRunner

import lmgen
from lmgen.cli import report
from lmgen.cli.corpus import corpus
from tests.process import run_command

pytestmark = pytest.mark.slow

ROOT = Path(__file__).parents[2]

app = typer.Typer()
app.add_typer(corpus, name="corpus")


@pytest.fixture(autouse=True)
def _here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("LMGEN_CORPORA", raising=False)
    yield
    report.QUIET = False


def run(*arguments: str) -> tuple[int, str, str]:
    result = CliRunner().invoke(app, ["corpus", *arguments])
    return result.exit_code, result.stdout, result.stderr


def test_the_list_is_an_aligned_table() -> None:
    code, out, err = run("list")
    lines = out.splitlines()

    assert (code, err) == (0, "")
    assert lines[0].split() == ["name", "where", "characters", "split", "licence"]
    assert len({line.index(word) for line, word in zip(lines, ["licence", "PSF-2.0"], strict=False)}) == 1
    assert any(line.startswith("wikitext-2 ") and "to download" in line for line in lines)
    assert any(line.startswith("synthetic-markov ") and "1,000,000" in line for line in lines)


def test_the_list_as_json_is_an_object_a_corpus() -> None:
    code, out, _ = run("list", "--json")
    listed = {each["name"]: each for each in map(json.loads, out.splitlines())}

    assert code == 0
    assert listed["python-docs"]["kind"] == "built in"
    assert listed["penn-treebank"] == {
        "name": "penn-treebank",
        "kind": "recipe",
        "place": "by hand",
        "path": None,
        "characters": 5_951_345,
        "split": "own files",
        "licence": "LDC user agreement",
        "description": listed["penn-treebank"]["description"],
    }


def test_show_prints_the_text_and_notes_beside_it() -> None:
    Path("book.txt").write_bytes(b"one\r\n\xff\n")

    assert CliRunner().invoke(app, ["corpus", "show", "book.txt"]).stdout_bytes == b"one\r\n\xff\n"
    code, out, err = run("show", "unicode-names")
    assert code == 0
    assert out.startswith("SPACE\nEXCLAMATION MARK\n")
    assert err.startswith("note: unicode-names: ")
    assert run("show", "unicode-names", "--quiet")[2] == ""


def test_show_prints_a_split_as_training_cuts_it() -> None:
    Path("book.txt").write_text("0123456789")

    assert run("show", "book.txt", "--split", "train")[1] == "012345678"
    assert run("show", "book.txt", "--split", "valid")[1] == "9"
    assert run("show", "book.txt", "--split", "test") == (1, "", "error: book.txt has no test split\n")


def test_show_ends_quietly_when_its_reader_has_had_enough(tmp_path: Path) -> None:
    program = "from tests.cli.test_corpus import app; app()"
    command = f"{sys.executable} -c '{program}' corpus show python-code --quiet | head -c 5"
    done = run_command(["bash", "-c", command], cwd=ROOT, check=True)

    assert (len(done.stdout), done.stderr) == (5, "")


def test_get_says_what_to_do_by_hand() -> None:
    assert run("get", "war-and-peace") == (
        1,
        "",
        "error: war-and-peace must be downloaded by hand: get warpeace_input.txt, or war-and-peace.txt, or "
        "2600-0.txt, or pg2600.txt (see https://cs.stanford.edu/people/karpathy/char-rnn/warpeace_input.txt) "
        "and put it into corpora/war-and-peace/\n",
    )


def test_get_prints_checksum_and_path_of_what_is_there() -> None:
    Path("corpora").mkdir()
    Path("corpora/pg2600.txt").write_text("abc")

    assert run("get", "war-and-peace") == (
        0,
        "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad  corpora/pg2600.txt\n",
        "note: corpora/pg2600.txt is unverified: the recipe of war-and-peace has no checksum for it\n",
    )


def test_get_has_nothing_to_do_for_what_comes_with_lmgen() -> None:
    assert run("get", "python-docs") == (
        0,
        "",
        "note: python-docs comes with lmgen: there is nothing to fetch\n",
    )


def test_get_of_an_unknown_name_lists_near_ones() -> None:
    assert run("get", "tinyshakespeare") == (
        1,
        "",
        "error: there is no file, folder or corpus 'tinyshakespeare'; did you mean tiny-shakespeare? "
        "`lmgen corpus list` shows the corpora\n",
    )


def test_make_writes_a_text_and_says_its_best_score() -> None:
    arguments = ("make", "synthetic-markov", "--characters", "1000", "--seed", "3", "--out", "markov.txt")

    assert run(*arguments) == (
        0,
        "markov.txt: 1000 characters; the best possible score is 1.2130 nats per character (1.7500 bits)\n",
        "",
    )
    first = Path("markov.txt").read_text()
    result = json.loads(run(*arguments, "--json", "--overwrite")[1])
    assert Path("markov.txt").read_text() == first
    assert len(first) == 1000
    assert result == {
        "corpus": "synthetic-markov",
        "path": "markov.txt",
        "characters": 1000,
        "seed": 3,
        "best_nats_per_character": pytest.approx(1.2130, abs=1e-4),
    }


def test_make_of_something_else_names_what_can_be_made() -> None:
    assert run("make", "python-docs", "--out", "x.txt") == (
        1,
        "",
        "error: python-docs is not synthetic; those that can be made are addition, copy, sequence-shift, "
        "sine, anbn, anbncn, reber, embedded-reber, continual-reber, temporal-order, adding, markov, "
        "grammar, synthetic-uniform, synthetic-markov, synthetic-copy, synthetic-brackets\n",
    )
    assert list(Path.cwd().iterdir()) == []


def test_make_that_cannot_write_says_so() -> None:
    Path("folder").mkdir()

    assert run("make", "synthetic-copy", "--out", "folder") == (
        1,
        "",
        "error: folder is a folder; give --out the name of a file\n",
    )
    assert [path.name for path in Path.cwd().iterdir()] == ["folder"]


def test_make_replaces_a_file_only_if_it_is_told_to() -> None:
    Path("mine.txt").write_text("mine")

    assert run("make", "synthetic-copy", "--out", "mine.txt") == (
        1,
        "",
        "error: there is a file mine.txt already; replace it (--overwrite) or give another --out\n",
    )
    with pytest.raises(lmgen.ModelError, match=r"replace it \(overwrite=True\) or give another out"):
        lmgen.make_corpus("synthetic-copy", "mine.txt")
    assert Path("mine.txt").read_text() == "mine"
    assert lmgen.make_corpus("synthetic-copy", "mine.txt", characters=50, overwrite=True).characters == 50
    assert len(Path("mine.txt").read_text()) == 50


@pytest.mark.parametrize("arguments", [["make", "synthetic-copy"], ["show"], ["show", "x", "--split", "dev"]])
def test_wrong_usage_exits_with_2(arguments: list[str]) -> None:
    assert run(*arguments)[0] == 2


def test_importing_the_command_loads_nothing_heavy() -> None:
    program = "import sys, lmgen.cli.corpus; print({'numpy', 'rich', 'pooch', 'torch'} & set(sys.modules))"

    assert run_command([sys.executable, "-c", program], cwd=ROOT, check=True).stdout == "set()\n"
