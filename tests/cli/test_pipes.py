"""Commands between other commands: whatever comes in, however fast, and whoever reads what comes out."""

import json
import os
import pty
import subprocess
from codecs import BOM_UTF8
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from random import Random
from typing import IO, Any

import numpy as np
import pytest
import typer
from typer.testing import CliRunner, Result

from lmgen.cli import report
from lmgen.cli.perplexity import perplexity
from lmgen.cli.sample import sample
from lmgen.models.model_file import load_model, save_model
from lmgen.models.network.config import NetworkConfig
from lmgen.models.network.initialization import initial_parameters
from lmgen.models.network.model import RecurrentModel
from lmgen.tokenizers.base import Tokenizer
from lmgen.tokenizers.bytes import ByteTokenizer
from lmgen.tokenizers.config import TokenizerConfig
from lmgen.tokenizers.registry import train_tokenizer
from tests.cli.tiny_model import chain, save_bigram_model
from tests.process import COMMAND, ENVIRONMENT

pytestmark = pytest.mark.slow  # each test starts a command

TOKENIZERS = ["char", "byte", "word", "bpe"]

TEXT = "The cat sat on the mat; café, 日本語 and 🎉.\nOnce upon a time\n"

INPUTS = {
    "empty": b"",
    "a line end alone": b"\n",
    "only line ends": b"\n\n\n",
    "blanks": b"  \n\t\n \n",
    "no line end at the end": b"The cat\non the",
    "CRLF": b"The cat\r\non\r\n\r\nthe",
    "NUL": b"the\0cat\n\0\n\0",
    "half characters": b"caf\xc3\ncat\xff\n\xe6\x97",
    "no text": bytes(Random(1).choices(range(256), k=2000)),
    "a byte order mark": b"\xef\xbb\xbfThe cat\n",
    "other line ends": "the\u2028cat\vsat\fon\x1ethe\x85mat\n".encode(),
    "a line longer than a block": b"the cat " * 33_000,
    "a word longer than a block": b"\n" + b"c" * 263_000 + b"\nthe cat\n",
}

app = typer.Typer()
app.command()(sample)
app.command()(perplexity)


@pytest.fixture(autouse=True)
def _all_notes() -> Iterator[None]:
    yield
    report.QUIET = False


@pytest.fixture(scope="module")
def models(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """For each tokenizer a network of random weights."""
    folder = tmp_path_factory.mktemp("models")
    return {name: save_random_network(folder / f"{name}.safetensors", tokenizer(name)) for name in TOKENIZERS}


def tokenizer(name: str) -> Tokenizer:
    return train_tokenizer(lambda: [TEXT], TokenizerConfig(tokenizer=name))


def save_random_network(path: Path, tokenizer: Tokenizer) -> Path:
    network = NetworkConfig(layers=2, hidden_size=8)
    V = tokenizer.vocabulary_size
    parameters = initial_parameters(network, V, tokenizer.unknown, seed=0)
    parameters["output.weight"] *= 4  # so that some tokens are much likelier than others
    save_model(path, RecurrentModel(network, V, tokenizer.start, parameters), tokenizer)
    return path


def run(*arguments: str | Path | int, text: str | bytes | None = None) -> Result:
    return CliRunner().invoke(app, [str(argument) for argument in arguments], input=text)


def records(result: Result) -> list[dict[str, Any]]:
    """The objects of JSON Lines, which are UTF-8 whatever is in them."""
    assert result.exit_code == 0, result.stderr
    return [json.loads(line) for line in result.stdout_bytes.decode("utf-8").split("\n")[:-1]]


def lines_of(data: bytes) -> list[bytes]:
    """The lines of a text without their line ends; an empty text has none."""
    *lines, rest = data.split(b"\n")
    return [*(line.removesuffix(b"\r") for line in lines), *([rest] if rest else [])]


@contextmanager
def process(*arguments: str | Path, **settings: Any) -> Iterator[subprocess.Popen[bytes]]:
    """The command as a process of its own, which does not outlive the test."""
    with subprocess.Popen(
        [*COMMAND, *map(str, arguments)], env=ENVIRONMENT, stderr=subprocess.PIPE, **settings
    ) as running:
        try:
            yield running
        finally:
            running.kill()


def write(pipe: IO[bytes] | None, data: bytes) -> None:
    assert pipe is not None
    pipe.write(data)
    pipe.flush()


def read_line(pipe: IO[bytes] | None) -> bytes:
    assert pipe is not None
    return pipe.readline()


def end_of(running: subprocess.Popen[bytes]) -> tuple[int, bytes]:
    """Exit code and errors of a command whose reader has had enough."""
    assert running.stdout is not None
    assert running.stderr is not None
    running.stdout.close()
    errors = running.stderr.read()
    return running.wait(30), errors


class TestWhateverComesIn:
    @pytest.mark.parametrize("name", TOKENIZERS)
    @pytest.mark.parametrize("data", INPUTS.values(), ids=INPUTS)
    @pytest.mark.parametrize("by", ["document", "line"])
    def test_a_text_is_scored_or_refused_in_one_line(
        self, models: dict[str, Path], name: str, data: bytes, by: str
    ) -> None:
        result = run("perplexity", models[name], "-", "--by", by, "--json", "--no-baseline", text=data)

        if not data or (name != "byte" and (b"\0" in data or not is_utf8(data))):
            assert result.exit_code == 1
            why = "is not UTF-8 text (byte 0x" if data else "is empty"
            why = "is not text (byte 0x00 at offset " if is_utf8(data) and data else why
            assert result.stderr.startswith(f"error: standard input {why}")
            assert result.stderr.count("\n") == 1
        elif by == "line":
            scores = records(result)
            assert [score["line"] for score in scores] == list(range(1, len(lines_of(data)) + 1))
            assert all(score["nats"] > 0 for score in scores)
        else:
            [score] = records(result)
            mark = 0 if name == "byte" else len(data) - len(data.removeprefix(BOM_UTF8))
            assert score["bytes"] == len(data) - mark
            assert score["nats"] > 0

    @pytest.mark.parametrize("name", TOKENIZERS)
    @pytest.mark.parametrize("data", [data for data in INPUTS.values() if len(data) < 9999])
    def test_any_bytes_are_a_prompt_and_come_out_as_they_were(
        self, models: dict[str, Path], name: str, data: bytes
    ) -> None:
        result = run("sample", models[name], "--prompt", "-", "--length", "3", text=data)

        assert result.exit_code == 0
        prompt = data.removeprefix(BOM_UTF8).removesuffix(b"\n").removesuffix(b"\r")
        assert result.stdout_bytes.startswith(prompt)

    @pytest.mark.parametrize("name", TOKENIZERS)
    @pytest.mark.parametrize("data", [data for data in INPUTS.values() if len(data) < 9999])
    def test_each_line_of_any_bytes_is_a_prompt(
        self, models: dict[str, Path], name: str, data: bytes
    ) -> None:
        result = run("sample", models[name], "--prompt", "-", "--lines", "--json", "--length", "3", text=data)

        prompts = [record["prompt"].encode("utf-8", "surrogateescape") for record in records(result)]
        assert prompts == lines_of(data.removeprefix(BOM_UTF8))

    def test_a_line_of_many_chunks_is_one_prompt(self, models: dict[str, Path]) -> None:
        """Its parts are put together once, not once for each chunk that comes."""
        text = "the cat " * 10_000
        result = run(
            "sample", models["word"], "--prompt", "-", "--lines", "--json", "--length", "1", text=text
        )
        assert [record["prompt"] for record in records(result)] == [text]

    @pytest.mark.parametrize("lines", [(), ("--lines",)])
    def test_a_prompt_without_end_is_refused(
        self, models: dict[str, Path], lines: Sequence[str], monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """It would have to be held in memory as a whole."""
        monkeypatch.setattr("lmgen.cli.prompts.LONGEST_PROMPT", 1000)
        allowed = run("sample", models["char"], "--prompt", "-", *lines, "--length", "1", text="c" * 1000)
        refused = run("sample", models["char"], "--prompt", "-", *lines, "--length", "1", text="c" * 1001)
        assert allowed.exit_code == 0
        assert (refused.exit_code, refused.stdout) == (1, "")
        assert refused.stderr.startswith(
            "error: a prompt is longer than 1,000 characters; give its end alone"
        )

    @pytest.mark.slow
    def test_lines_before_a_bad_byte_are_scored(self, models: dict[str, Path]) -> None:
        """All of them, however the bytes come in blocks."""
        text = b"the cat\n" * 50_000 + b"\xff\n"
        result = run("perplexity", models["word"], "-", "--by", "line", "--format", "tsv", text=text)
        assert result.exit_code == 1
        assert "byte 0xff at offset 400000" in result.stderr
        assert result.stdout.splitlines()[-1].startswith("-\t50000\t3\t")


def is_utf8(data: bytes) -> bool:
    try:
        data.decode("utf-8")
    except UnicodeDecodeError:
        return False
    return True


class TestOrder:
    def test_lines_of_all_lengths_are_scored_in_their_order(self, models: dict[str, Path]) -> None:
        random = Random(0)
        lines = ["".join(random.choices("The cat", k=random.randrange(30))) for _ in range(5000)]
        result = run(
            "perplexity", models["char"], "-", "--by", "line", "--format", "tsv", text="\n".join(lines) + "\n"
        )
        rows = [row.split("\t") for row in result.stdout.splitlines()[1:]]
        assert [int(number) for _, number, *_ in rows] == list(range(1, 5001))
        assert [int(tokens) for _, _, tokens, *_ in rows] == [len(line) + 1 for line in lines]

    def test_a_line_scores_the_same_wherever_it_stands(self, models: dict[str, Path]) -> None:
        alone = run("perplexity", models["char"], "-", "--by", "line", "--json", text="The cat\n")
        many = run("perplexity", models["char"], "-", "--by", "line", "--json", text=TEXT * 99 + "The cat\n")
        assert records(many)[-1]["nats"] == pytest.approx(records(alone)[0]["nats"], rel=1e-5)

    def test_a_thousand_prompts_are_completed_in_their_order(self, models: dict[str, Path]) -> None:
        prompts = [f"Once {number}" for number in range(1000)]
        result = run(
            "sample", models["byte"], "--prompt", "-", "--lines", "--length", "20", text="\n".join(prompts)
        )
        completed = result.stdout_bytes.split(b"\n")[:-1]
        assert len(completed) == 1000
        for prompt, line in zip(prompts, completed, strict=True):
            assert line.startswith(prompt.encode())


class TestNoWaiting:
    def test_a_score_comes_out_as_soon_as_its_line_is_there(self, models: dict[str, Path]) -> None:
        with process(
            "perplexity",
            models["bpe"],
            "-",
            "--by",
            "line",
            "--json",
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
        ) as running:
            for number in (1, 2, 3):
                write(running.stdin, b"the cat\nthe")
                assert json.loads(read_line(running.stdout))["line"] == number

    def test_finished_completions_come_out_before_more_prompts_are_waited_for(
        self, models: dict[str, Path]
    ) -> None:
        with process(
            "sample", models["char"], "--prompt", "-", "--lines", "--json", "--length", "2",
            stdin=subprocess.PIPE, stdout=subprocess.PIPE,
        ) as running:  # fmt: skip
            for prompt in ("The cat", "the dog"):
                write(running.stdin, f"{prompt}\n".encode())
                assert json.loads(read_line(running.stdout))["prompt"] == prompt

    @pytest.mark.parametrize(
        "arguments",
        [
            ["perplexity", "-", "--by", "line", "--format", "tsv"],
            ["perplexity", "-", "--by", "line"],
            ["perplexity", "-", "--by", "token", "--format", "tsv"],
            ["sample", "--prompt", "-", "--lines", "--length", "5"],
            ["tokenize"],
        ],
        ids=" ".join,
    )
    def test_endless_input_ends_when_the_reader_has_had_enough(
        self, models: dict[str, Path], arguments: Sequence[str]
    ) -> None:
        name, *others = arguments
        with (
            subprocess.Popen(["yes", "the cat"], stdout=subprocess.PIPE) as endless,
            process(name, models["word"], *others, stdin=endless.stdout, stdout=subprocess.PIPE) as running,
        ):
            assert read_line(running.stdout)
            assert read_line(running.stdout)
            ended = end_of(running)
            endless.kill()
        assert ended == (0, b"")

    @pytest.mark.parametrize(
        "arguments",
        [
            ["sample", "MODEL", "--num", "3000", "--length", "5", "--stop", "\n"],
            ["next", "MODEL", "the", "--top", "250"],
            ["corpus", "show", "unicode-names", "--quiet"],
        ],
        ids=lambda arguments: arguments[0],
    )
    def test_a_long_output_ends_when_the_reader_has_had_enough(
        self, models: dict[str, Path], arguments: Sequence[str]
    ) -> None:
        given = [str(models["byte"]) if argument == "MODEL" else argument for argument in arguments]
        with process(*given, stdout=subprocess.PIPE) as running:
            assert read_line(running.stdout)
            assert end_of(running) == (0, b"")


CHARACTERS = "é€🎉"


@pytest.fixture(scope="module", params=["byte", "bpe"])
def spelling(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Models that say é, €, 🎉, é, ... byte by byte: of bytes, and of sub-words that know none of these."""
    tokenizer: Tokenizer = ByteTokenizer()
    if request.param == "bpe":
        tokenizer = train_tokenizer(lambda: ["the cat sat"], TokenizerConfig(tokenizer="bpe"))
    assert len(tokenizer.encode(CHARACTERS)) == len(CHARACTERS.encode())
    path = tmp_path_factory.mktemp(request.param) / "model.safetensors"
    return save_bigram_model(path, tokenizer, chain(tokenizer, CHARACTERS))


class TestWholeCharacters:
    def test_a_terminal_never_gets_a_part_of_one(self, spelling: Path) -> None:
        ours, theirs = pty.openpty()
        with process(
            "sample", spelling, "--prompt", "é", "--length", "160", "--temperature", "0", stdout=theirs
        ) as running:
            os.close(theirs)
            pieces = []
            while piece := read_terminal(ours):
                pieces.append(piece.decode("utf-8", "strict"))
            assert running.wait(30) == 0
        os.close(ours)
        assert "".join(pieces).startswith("é€🎉é€🎉")

    @pytest.mark.parametrize("length", range(1, 9))
    def test_json_is_utf8_wherever_a_completion_ends(self, spelling: Path, length: int) -> None:
        result = run("sample", spelling, "--prompt", "é", "--json", "--temperature", "0", "--length", length)
        [record] = records(result)
        whole = (CHARACTERS[1:] + CHARACTERS[0]).encode()[:length].decode("utf-8", "ignore")
        rest = record["text"].removeprefix(whole)
        assert record["text"].startswith(whole)
        assert all(character == "\ufffd" or "\udc80" <= character <= "\udcff" for character in rest)


def read_terminal(descriptor: int) -> bytes:
    """What has been written to a terminal; nothing when the last writer has closed it."""
    try:
        return os.read(descriptor, 1 << 16)
    except OSError:
        return b""


FILTERED = (
    "--temperature",
    "0.7",
    "--top-k",
    "9",
    "--top-p",
    "0.95",
    "--min-p",
    "0.01",
    "--repetition-penalty",
    "1.2",
)


class TestSampling:
    @pytest.mark.parametrize("name", TOKENIZERS)
    @pytest.mark.parametrize("filters", [(), FILTERED], ids=["plain", "filtered"])
    def test_the_same_seed_gives_the_same_text_however_it_is_asked_for(
        self, models: dict[str, Path], name: str, filters: Sequence[str], tmp_path: Path
    ) -> None:
        (tmp_path / "prompt.txt").write_text("the cat\n")
        same: Sequence[str | Path] = (models[name], "--no-echo", "--length", "30", "--seed", "5", *filters)
        prompt = ("--prompt", "the cat")
        streamed = run("sample", *same, *prompt).stdout_bytes
        from_file = run("sample", *same, "--prompt-file", tmp_path / "prompt.txt").stdout_bytes
        [alone] = records(run("sample", *same, *prompt, "--json"))
        many = records(run("sample", *same, *prompt, "--json", "--num", "70"))
        [line] = records(run("sample", *same, "--prompt", "-", "--lines", "--json", text="the cat\r\n"))

        text = alone["text"]
        assert streamed == from_file == text.encode("utf-8", "surrogateescape")
        assert many[0]["text"] == text
        assert line["text"] == text.partition("\n")[0]

    @pytest.mark.parametrize("name", ["char", "byte"])
    @pytest.mark.parametrize("filters", [(), FILTERED], ids=["plain", "filtered"])
    def test_nats_are_what_a_text_scores_more_than_its_prompt(
        self, models: dict[str, Path], name: str, filters: Sequence[str], tmp_path: Path
    ) -> None:
        flags = ("--prompt", "the cat", "--length", "40", "--seed", "1")
        [drawn] = records(run("sample", models[name], "--json", *flags, *filters))
        before = self.score(models[name], "the cat", tmp_path)
        after = self.score(models[name], "the cat" + drawn["text"], tmp_path)
        assert drawn["tokens"] == after["tokens"] - before["tokens"] == 40
        assert drawn["nats"] == pytest.approx(after["nats"] - before["nats"], rel=1e-4)

    def test_nats_count_the_stop_text_and_the_line_end_that_ended_a_text(
        self, models: dict[str, Path], tmp_path: Path
    ) -> None:
        """They were drawn, too: a line's nats are those of the whole line, as in `perplexity --by line`."""
        before = self.score(models["char"], "the cat", tmp_path)
        met = set()
        for seed in range(12):
            flags = ("--prompt", "the cat", "--length", "40", "--seed", seed, "--stop", "e", "--lines")
            [drawn] = records(run("sample", models["char"], "--json", *flags))
            ending = {"stop": "e", "end": "\n", "length": ""}[drawn["stopped_by"]]
            after = self.score(models["char"], "the cat" + drawn["text"] + ending, tmp_path)
            assert drawn["tokens"] == after["tokens"] - before["tokens"]
            assert drawn["nats"] == pytest.approx(after["nats"] - before["nats"], rel=1e-4)
            met.add(drawn["stopped_by"])
        assert met >= {"stop", "end"}

    @pytest.mark.parametrize("name", ["word", "bpe"])
    def test_nats_of_words_and_sub_words_are_those_of_the_tokens_drawn(
        self, models: dict[str, Path], name: str, tmp_path: Path
    ) -> None:
        """
        Score by token: at the end of a text a word model predicts a line end more, which was not drawn.

        Sub-words can spell one text in several ways. Greedy sub-words of a model that knows but one are those
        that the tokenizer itself would choose.
        """
        model = models[name]
        if name == "bpe":
            subwords = load_model(model).tokenizer
            scores = chain(subwords, "the cat") / 10
            model = save_bigram_model(tmp_path / "bpe.safetensors", subwords, scores)
        flags = ("--prompt", "the", "--length", "9", "--seed", "3", "--temperature", "0")
        [drawn] = records(run("sample", model, "--json", *flags))
        (tmp_path / "text.txt").write_text("the" + drawn["text"])
        tokens = records(
            run("perplexity", model, tmp_path / "text.txt", "--by", "token", "--json", "--exact")
        )
        first = len(load_model(model).tokenizer.encode("the"))
        bits = [token["surprisal_bits"] for token in tokens[first : first + drawn["tokens"]]]
        assert len(bits) == 9
        assert drawn["nats"] == pytest.approx(sum(bits) * np.log(2), rel=1e-4)

    @pytest.mark.parametrize("degree", ["1e-300", "1e-9", "0.01", "100", "1e9", "1e300"])
    def test_any_temperature_gives_a_text(self, models: dict[str, Path], degree: str) -> None:
        result = run("sample", models["word"], "--temperature", degree, "--length", "50", "--seed", "1")
        assert (result.exit_code, result.stderr) == (0, "")
        if float(degree) <= 1e-9:
            greedy = run("sample", models["word"], "--temperature", "0", "--length", "50")
            assert result.stdout == greedy.stdout

    def test_the_help_page_lists_the_controls_in_the_order_they_apply(self) -> None:
        page = run("sample", "--help").stdout
        flags = ["--top-k", "--top-p", "--min-p", "--repetition-penalty", "--temperature"]
        places = [page.rindex(f" {flag} ") for flag in flags]
        assert places == sorted(places)
        assert "p^(1/T)" in page
        assert "p^R" in page

    def score(self, model: Path, text: str, folder: Path) -> dict[str, Any]:
        (folder / "text.txt").write_bytes(text.encode("utf-8", "surrogateescape"))
        [score] = records(run("perplexity", model, folder / "text.txt", "--exact", "--json", "--no-baseline"))
        return score
