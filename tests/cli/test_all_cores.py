"""Commands on one core and on two: the same output, the same errors, the same end."""

import random
import signal
import subprocess
from pathlib import Path

import pytest

from tests.process import COMMAND, ENVIRONMENT, run_command

pytestmark = pytest.mark.slow  # each test starts commands

RUN = Path(__file__).parents[1] / "files" / "runs" / "lstm-char" / "half"


def environment(cores: int) -> dict[str, str]:
    """Where numpy may have so many threads, unless the machine has fewer processors."""
    return {**ENVIRONMENT, "OMP_NUM_THREADS": str(cores), "OPENBLAS_NUM_THREADS": str(cores)}


def lines(count: int) -> list[str]:
    """Lines of letters, some of them empty."""
    chosen = random.Random(1)
    return ["".join(chosen.choices("abcdefgh ", k=chosen.randrange(40))) + "\n" for _ in range(count)]


def on_both(*arguments: str, cwd: Path, text: str | None = None) -> list[subprocess.CompletedProcess[str]]:
    """What a command does on one core and on two."""
    return [
        run_command([*COMMAND, *arguments], cwd=cwd, text=text, environment=environment(cores))
        for cores in (1, 2)
    ]


@pytest.mark.parametrize("given", ["file", "pipe"])
@pytest.mark.parametrize("by", ["document", "line"])
def test_perplexity(given: str, by: str, tmp_path: Path) -> None:
    text = "".join(lines(1500))
    (tmp_path / "text.txt").write_text(text)
    name, piped = ("text.txt", None) if given == "file" else ("-", text)
    one, two = on_both(
        "perplexity", str(RUN), name, "--by", by, "--baseline", "--format", "tsv", cwd=tmp_path, text=piped
    )

    assert one.returncode == 0, one.stderr
    assert len(one.stdout.splitlines()) == (1 + 2 * 1500 if by == "line" else 3)
    assert (one.returncode, one.stdout, one.stderr) == (two.returncode, two.stdout, two.stderr)


def test_a_text_that_cannot_be_read_on_is_the_same_error_after_the_same_lines(tmp_path: Path) -> None:
    text = "".join(lines(20_000)).encode()
    (tmp_path / "text.txt").write_bytes(text[:250_000] + b"\xff" + text[250_000:])
    one, two = on_both("perplexity", str(RUN), "text.txt", "--by", "line", "--format", "tsv", cwd=tmp_path)

    assert one.returncode == 1
    [error] = [line for line in one.stderr.splitlines() if line.startswith("error: ")]
    assert "text.txt" in error
    assert (one.returncode, one.stdout, one.stderr) == (two.returncode, two.stdout, two.stderr)


@pytest.mark.parametrize(
    "arguments",
    [["--num", "150", "--length", "40"], ["--prompt", "-", "--lines", "--length", "20", "--json"]],
)
def test_sample(arguments: list[str], tmp_path: Path) -> None:
    one, two = on_both("sample", str(RUN), *arguments, "--seed", "4", cwd=tmp_path, text="".join(lines(300)))

    assert one.returncode == 0, one.stderr
    assert (one.returncode, one.stdout, one.stderr) == (two.returncode, two.stdout, two.stderr)


@pytest.mark.parametrize("cores", [1, 2])
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_ends_all_threads(cores: int, number: int, tmp_path: Path) -> None:
    (tmp_path / "text.txt").write_text("".join(lines(20_000)) * 50)
    arguments = ["perplexity", str(RUN), "text.txt", "--by", "line", "--format", "tsv"]
    with subprocess.Popen(
        [*COMMAND, *arguments],
        cwd=tmp_path,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        env=environment(cores),
    ) as process:
        assert process.stdout is not None
        process.stdout.readline()
        process.send_signal(number)
        _, errors = process.communicate(timeout=60)

    assert process.returncode == (130 if number == signal.SIGINT else -signal.SIGTERM)
    assert errors == b""
