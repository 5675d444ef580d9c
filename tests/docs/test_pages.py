"""
The commands and programs of README and docs/ are run as they stand, each page from top to bottom.

A page runs in a folder of its own that holds the files that the pages name, and the runs that an earlier page
makes. Only budgets are changed, so that this does not take minutes: `--minutes 5` ends after 25 updates, and
a preset gets a budget. What sets up the project itself (make, pip) is run by CI.

Where output is shown below a block, it is compared up to numbers: see `skeleton`. That of Python is compared
exactly on a page that trains nothing, as no budget has a part in it.
"""

import gzip
import json
import os
import re
import shutil
import subprocess
import sys
import zipfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.docs.pages import PAGES, Block, blocks, name_of
from tests.process import ENVIRONMENT, forked_command, run_command
from tests.tokenizers.sentencepiece_models import model

SETS_UP = ("make ", "python3 -m venv", "ruff ", "lmgen --install-completion")

RUNS = {"checkpoints/book": "book.txt", "checkpoints/names": "names.txt --unit line"}
"""Runs that a page uses although another makes them, and what each is trained on."""

EXTRAS = {
    "lmgen vectors train": "gensim",
    "train_vectors(": "gensim",
    "lmgen vectors plot": "sklearn",
    "lmgen compress": "constriction",
    "lmgen serve": "uvicorn",
    "import OpenAI": "openai",
    "lmgen report": "matplotlib",
    "write_report(": "matplotlib",
    "--tensorboard": "tensorboard",
}
"""What a page runs that needs a package of an extra."""

LINES = [f"worker {n % 7} finished job {n * n} after {n % 60} seconds\n" for n in range(400)]

END_OF_BLOCK = "-- end of a block --"
"""What is printed between the blocks of a page's program."""

pytestmark = [pytest.mark.slow, pytest.mark.timeout(900)]  # a page is many commands


@pytest.fixture(scope="module")
def commands(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """The folder of the command `lmgen`."""
    with forked_command(tmp_path_factory.mktemp("commands")) as folder:
        yield folder


@pytest.fixture(scope="module")
def prepared(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Small files by the names that the pages give."""
    folder = tmp_path_factory.mktemp("prepared")
    text = "".join(LINES)
    for name in ("book.txt", "other.txt", "letters.txt", "yesterday.log", "today.log", "web.txt"):
        (folder / name).write_text(text)
    (folder / "pieces.model").write_bytes(model("as-llama"))
    (folder / "names.txt").write_text("emma\nolivia\nava\nisabella\nsophia\n" * 40)
    recipes = [json.dumps({"text": f"Soup {n}\n\n{n} onions\nsalt"}) + "\n" for n in range(60)]
    (folder / "recipes.jsonl").write_text("".join(recipes))
    (folder / "talks.csv").write_text("id,text\n" + "".join(f'{n},"one, {n}"\n' for n in range(60)))
    with zipfile.ZipFile(folder / "talks.zip", "w") as archive:
        archive.writestr("talk 1.txt", ("“one”, two – three\n" * 60).encode("cp1252"))
    pairs = [
        ("tense", " finished", " finishes"),
        ("order", " after 3 seconds", " 3 seconds after"),
    ] * 2
    (folder / "pairs.jsonl").write_text(
        "".join(
            json.dumps(
                {"UID": group, "sentence_good": f"worker {n}{good}", "sentence_bad": f"worker {n}{bad}"}
            )
            + "\n"
            for n, (group, good, bad) in enumerate(pairs)
        )
    )
    (folder / "beginnings.txt").write_text("worker 1\nwork\n")
    (folder / "logs").mkdir()
    with gzip.open(folder / "logs" / "a.gz", "wt") as file:
        file.write(text)
    return folder


def train(run_folder: str, prepared: Path, commands: Path) -> None:
    """Train a run that a page needs, once for all pages."""
    if not (prepared / run_folder).exists():
        command = f"lmgen train {RUNS[run_folder]} --out {run_folder} --steps 20 --hidden-size 32"
        trained = run(command, prepared, commands)
        assert trained.returncode == 0, trained.stdout


def few_steps(budget: re.Match[str]) -> str:
    """A number of updates in place of minutes or epochs: more of them where there were more."""
    return f"--steps {20 + int(budget[1])}"


def epochs_as_steps(flags: re.Match[str]) -> str:
    """The flags of a training, without many epochs."""
    return re.sub(r"--epochs (\d+)", few_steps, flags[0])


def quickly(code: str) -> str:
    """The same with small budgets."""
    minutes = re.compile(r"--minutes (\d+)")
    code = minutes.sub(lambda found: f"{found[0]} {few_steps(found)}", code)  # sizes are chosen for the time
    code = re.sub(r"--count \d+000", "--count 400", code)
    code = re.sub(r"(lmgen train .*--preset \w+)", r"\1 --steps 2", code)
    code = re.sub(r"--steps \d+000", "--steps 20", code)
    code = re.sub(r"(?<=lmgen train )(?!.*--labels).*", epochs_as_steps, code)
    return re.sub(r"minutes=\w+", "steps=20", code)


def run(script: str, folder: Path, commands: Path) -> "subprocess.CompletedProcess[str]":
    """Run commands of the shell, the first that fails ends them; stdout is all that a terminal shows."""
    torchrun = 'torchrun() { python -m torch.distributed.run "$@"; }'  # whatever is installed beside Python
    path = os.pathsep.join([str(commands), str(Path(sys.executable).parent), os.environ["PATH"]])
    return run_command(
        ["bash", "-ec", f"exec 2>&1\n{torchrun}\n{script}"],
        cwd=folder,
        environment={**ENVIRONMENT, "PATH": path},
        timeout=600,
    )


def skeleton(output: str) -> list[str]:
    """
    What is compared of an output: its lines without numbers, checksums and the width of columns.

    Nor is it compared what sizes and dropout a budget of time buys, which depends on the machine.

    Lines that then are the same as the one before count once: a smaller budget makes fewer rows of a table.
    """
    lines: list[str] = []
    for line in output.splitlines():
        bare = re.sub(r"^chosen .*: (?=.* buys )", "chosen #: ", line)
        bare = re.sub(r"\b[0-9a-f]{12,}\b", "#", bare)
        bare = re.sub(r"\d[\d,.:]*(e[+-]?\d+)?", "#", bare)
        bare = re.sub(r"\s+", " ", bare).strip()
        if bare and bare != "".join(lines[-1:]):
            lines.append(bare)
    return lines


def matches(shown: str, printed: str) -> bool:
    """Whether a page shows what was printed; a line `...` stands for any lines."""
    lines = [r"(.*\n)*" if line == "..." else re.escape(f"{line}\n") for line in skeleton(shown)]
    return re.fullmatch("".join(lines), "".join(f"{line}\n" for line in skeleton(printed))) is not None


@pytest.mark.parametrize("page", [page for page in PAGES if any(blocks(page))], ids=name_of)
def test_a_page_runs_from_top_to_bottom_and_shows_what_is_printed(
    page: Path, prepared: Path, commands: Path, tmp_path: Path
) -> None:
    folder = tmp_path / "page"
    of_page = [block for block in blocks(page) if not block.code.startswith(SETS_UP)]
    code = "\n".join(block.code for block in of_page)
    for package in {package for use, package in EXTRAS.items() if use in code}:
        pytest.importorskip(package, reason=f"{package} is not installed")
    shutil.copytree(prepared, folder, ignore=shutil.ignore_patterns("checkpoints"))
    for run_folder in RUNS:
        if run_folder in code and f"--out {run_folder}" not in code:
            train(run_folder, prepared, commands)
            shutil.copytree(prepared / run_folder, folder / run_folder)

    for block in of_page:
        if block.language == "sh":
            result = run(quickly(block.code), folder, commands)
            assert result.returncode == 0, f"{block.code}\n{result.stdout}"
            assert "error:" not in result.stdout, block.code
            if block.output is not None:
                assert matches(block.output, result.stdout), f"{block.code}\n{result.stdout}"
    if programs := [block for block in of_page if block.language == "python"]:
        program = f"\nprint({END_OF_BLOCK!r})\n".join(quickly(block.code) for block in programs)
        (folder / "program.py").write_text(program)
        result = run(f"{sys.executable} program.py", folder, commands)
        assert result.returncode == 0, result.stdout
        for block, printed in zip(programs, result.stdout.split(f"{END_OF_BLOCK}\n"), strict=True):
            if block.output is None:
                continue
            if "lmgen train" in code or "lmgen.train" in code:
                assert matches(block.output, printed), f"{block.code}\n{printed}"
            else:
                assert list(map(str.rstrip, printed.splitlines())) == block.output.splitlines()


@pytest.mark.parametrize(
    ("shown", "printed", "alike"),
    [
        ("lstm  1.13  3.1\nngram-7  1.1", "lstm  12.345  3\nngram-7  2", True),
        ("step 1\nstep 2\nend", "step 9\nend", True),
        ("a\n...\nd", "a\nb\nc\nd", True),
        ("a\n...\nd", "a\nd", True),
        ("a\n...", "a\nb", True),
        ("lstm  1.13", "gru  1.13", False),
        ("lstm  1.13", "lstm  1.13\nnote: one more", False),
        ("a\n...\nd", "a\nb", False),
    ],
)
def test_output_is_compared_up_to_numbers(shown: str, printed: str, alike: bool) -> None:
    assert matches(shown, printed) is alike


def test_output_that_no_command_prints_is_found(commands: Path, tmp_path: Path) -> None:
    page = tmp_path / "page.md"
    page.write_text(
        "```sh\necho one 1\n```\n\n```text\ntwo 1\n```\n\n```sh\nx\n```\n\n```text sample\ny\n```\n"
    )
    first, second = blocks(page)

    assert first == Block("sh", "echo one 1\n", "two 1\n")
    assert not matches(str(first.output), run(first.code, tmp_path, commands).stdout)
    assert second.output is None
