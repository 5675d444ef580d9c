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
        "markov.txt: 1,000 characters; the best possible score is 1.2130 nats per character (1.7500 bits)\n",
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


def test_make_writes_a_task_and_a_test_file_that_has_nothing_of_it() -> None:
    arguments = ("make", "addition", "--digits", "2", "--reverse", "--count", "3000", "--out", "add.txt")

    assert run(*arguments, "--test", "test.txt") == (
        0,
        "add.txt: 3,000 lines; the best possible score is 0 nats per answer, 8.1887 nats per line, 1.0188 "
        "nats per character (1.4698 bits)\ntest.txt: 300 lines, all different and none in add.txt\n"
        "test.txt: the best possible score is 0 nats per answer\n",
        "",
    )
    lines, held_out = Path("add.txt").read_text().splitlines(), Path("test.txt").read_text().splitlines()
    assert len(lines) == 3000
    assert len(set(held_out) - set(lines)) == len(held_out) == 300
    for question, answer in (line.split("=") for line in [*lines, *held_out]):
        assert sum(map(int, question.split("+"))) == int(answer[::-1])

    result = json.loads(run(*arguments, "--overwrite", "--json")[1])
    assert Path("add.txt").read_text().splitlines() == lines  # with a test file or without
    assert result == {
        "corpus": "addition",
        "path": "add.txt",
        "characters": sum(len(line) + 1 for line in lines),
        "seed": 0,
        "best_nats_per_character": pytest.approx(1.0188, abs=1e-4),
        "lines": 3000,
        "best_nats_per_line": pytest.approx(8.1887, abs=1e-4),
        "best_nats_per_answer": 0.0,
        "mark": "=",
    }


def test_make_says_that_there_are_too_few_instances_for_a_test_file() -> None:
    anbn = ("make", "anbn", "--out", "n.txt", "--test", "test.txt")

    code, out, err = run(*anbn)
    assert (code, out) == (1, "")
    assert err == (
        "error: no instances of anbn turned up that are not among the 5000 of n.txt, not 500: give a smaller "
        "--count or --test-count, other parameters, or the test file its own (--test-n)\n"
    )
    code, out, err = run(*anbn, "--test-n", "9-12", "--test-count", "3")
    assert (code, out) == (1, "")
    assert err.startswith("error: only 2 distinct instances of anbn turned up that are not among the 5000 of")
    assert list(Path.cwd().iterdir()) == []

    code, out, err = run(*anbn, "--test-n", "9-12")
    assert (code, err) == (
        0,
        "note: test.txt has 2 lines: only 2 distinct instances of anbn turned up that are not among the 5000 "
        "of n.txt\n",
    )
    assert set(Path("test.txt").read_text().split()) == {"a" * n + "b" * n for n in (11, 12)}


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (
            ["sine", "--length", "3", "--digits", "3"],
            "sine has no parameter --digits, --length; its parameters: --bins, --period, --periods, "
            "--test-periods, --phases",
        ),
        (["copy", "--count", "9" * 30], f"--count is {'9' * 30}, but has to be at most 1000000000000"),
        (["reber", "--n", "3"], "reber has no parameter --n; its parameters: none"),
        (["copy", "--length", "0"], "--length is '0', but has to be at least 1"),
        (["copy", "--length", "4-2", "--letters", "1"], "--letters is 1, but has to be at least 2"),
        (["copy", "--characters", "9"], "copy is made of instances: give --count in place of --characters"),
        (
            ["synthetic-copy", "--count", "9", "--letters", "4"],
            "synthetic-copy is one text and takes --characters and --seed, not --count, --letters",
        ),
        (
            ["copy", "--test-length", "9", "--test-count", "9"],
            "--test-length, --test-count goes with --test, which is not given",
        ),
        (
            ["copy", "--test", "x.txt.gz"],
            "x.txt.gz: a name ending in .gz promises compression, and this file is written uncompressed; "
            "give another name",
        ),
        (["copy", "--test", "x.txt"], "--test and --out name the same file; give --test another"),
    ],
)
def test_make_refuses_what_does_not_go_with_a_corpus(arguments: list[str], message: str) -> None:
    code, out, err = run("make", *arguments, "--out", "x.txt")

    assert (code, out, err) in {(each, "", f"error: {message}\n") for each in (1, 2)}
    assert list(Path.cwd().iterdir()) == []


def test_make_replaces_a_test_file_only_if_it_is_told_to() -> None:
    Path("mine.txt").write_text("mine")

    assert run("make", "copy", "--out", "x.txt", "--test", "mine.txt") == (
        1,
        "",
        "error: there is a file mine.txt already; replace it (--overwrite) or give another --test\n",
    )
    assert [path.read_text() for path in Path.cwd().iterdir()] == ["mine"]
    assert run("make", "copy", "--out", "x.txt", "--test", "mine.txt", "--overwrite")[0] == 0


def test_show_describes_a_task() -> None:
    code, out, err = run("show", "copy", "--parameters")

    assert (code, err) == (0, "")
    assert out == (
        "copy: words to be repeated, fbgah=fbgah: the state has to hold all of the question\n"
        "source: Graves, Wayne and Danihelka 2014, Neural Turing Machines; reversed: Sutskever et al. 2014\n"
        "mark: = stands before the answer (its first place in a line)\n"
        "lines: 50000, unless --count says otherwise\n"
        "best possible score: 0 nats per answer, 13.7395 nats per line, 1.0569 nats per character (1.5248 "
        "bits)\n"
        "\n"
        "flag           default  range                                 meaning\n"
        "--length       1-10     1 to 100,000, or a span such as 1-10  Letters of the word\n"
        "--test-length  -        1 to 100,000, or a span such as 1-10  `length` in the test file, if it is "
        "another\n"
        "--letters      8        2 to 26                               How many different letters there are\n"
        "--reverse      off      on or off                             Write the answer backwards\n"
    )
    assert run("show", "unicode-names", "--parameters") == (
        1,
        "",
        "error: unicode-names is no task and has no parameters; the tasks are addition, copy, "
        "sequence-shift, sine, anbn, anbncn, reber, embedded-reber, continual-reber, temporal-order, adding, "
        "markov, grammar\n",
    )
    assert run("show", "copy", "--parameters", "--split", "valid")[0] == 2


def test_show_prints_the_default_text_of_a_task() -> None:
    run("make", "reber", "--out", "reber.txt")
    code, out, err = run("show", "reber")

    assert (code, out) == (0, Path("reber.txt").read_text())
    assert err.startswith("note: reber: the best possible score is 4.1589 nats per line")


def test_make_of_a_misspelt_task_says_which_may_be_meant() -> None:
    code, out, err = run("make", "adition", "--out", "x.txt")

    assert (code, out) == (1, "")
    assert err.startswith("error: adition is not synthetic (did you mean addition?); those that can be made")


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
    with pytest.raises(lmgen.ConfigError, match="seed is -1, but has to be at least 0"):
        lmgen.make_corpus("copy", "mine.txt", seed=-1, overwrite=True)
    assert Path("mine.txt").read_text() == "mine"
    assert lmgen.make_corpus("synthetic-copy", "mine.txt", characters=50, overwrite=True).characters == 50
    assert len(Path("mine.txt").read_text()) == 50


@pytest.mark.parametrize("arguments", [["make", "synthetic-copy"], ["show"], ["show", "x", "--split", "dev"]])
def test_wrong_usage_exits_with_2(arguments: list[str]) -> None:
    assert run(*arguments)[0] == 2


def test_importing_the_command_loads_nothing_heavy() -> None:
    program = "import sys, lmgen.cli.corpus; print({'numpy', 'rich', 'pooch', 'torch'} & set(sys.modules))"

    assert run_command([sys.executable, "-c", program], cwd=ROOT, check=True).stdout == "set()\n"


def test_a_task_is_written_to_stdout_and_what_it_is_to_stderr(tmp_path: Path) -> None:
    code, out, err = run("make", "addition", "--count", "20", "--out", "-", "--test", "test.txt")
    run("make", "addition", "--count", "20", "--out", "same.txt")

    assert code == 0
    assert out == (tmp_path / "same.txt").read_text()
    assert err.startswith("note: stdout: 20 lines; the best possible score is 0 nats per answer")
    assert run("make", "synthetic-markov", "--characters", "50", "--out", "-")[1] != ""
    assert {path.name for path in tmp_path.iterdir()} == {"same.txt", "test.txt"}


@pytest.mark.parametrize(
    ("flags", "message"),
    [
        (["--out", "add.txt", "--test", "-"], "error: --test has to be a file; only --out may be -"),
        (["--out", "-", "--json"], "error: --json prints on stdout, where --out - writes the text"),
    ],
)
def test_stdout_takes_one_thing(flags: list[str], message: str, tmp_path: Path) -> None:
    code, out, err = run("make", "addition", *flags)

    assert (code, out) == (2, "")
    assert err.startswith(message)
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize(
    ("task", "score"),
    [
        ("grammar", "unknown, since lines were left out that train.txt has or that came again"),
        ("addition", "0 nats per answer"),
        ("markov", "121.3008 nats per line, 1.2010 nats per character (1.7327 bits)"),
    ],
)
def test_the_score_of_a_test_file_is_its_own(task: str, score: str) -> None:
    """Markov lines are never alike, so those of the test file are drawn as any others."""
    *_, last = run("make", task, "--count", "500", "--out", "train.txt", "--test", "test.txt")[1].splitlines()

    assert last == f"test.txt: the best possible score is {score}"


def test_a_longer_test_file_has_the_score_of_its_length() -> None:
    files = ["--out", "train.txt", "--test", "test.txt", "--json"]
    made = json.loads(run("make", "markov", "--count", "50", "--test-length", "200", *files)[1])

    assert made["test_best_nats_per_line"] == pytest.approx(2 * made["best_nats_per_line"])
