"""What a command imports before it does its work, and how it ends when it is interrupted on the way."""

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest

from lmgen.tokenizers.characters import CharacterTokenizer
from tests.cli.tiny_model import save_bigram_model, save_label_model
from tests.process import COMMAND, ENVIRONMENT, run_command

pytestmark = pytest.mark.slow  # each test starts a command

ALL = {
    "torch",
    "numpy",
    "rich",
    "pydantic",
    "sentencepiece",
    "pooch",
    "zstandard",
    "gensim",
    "sklearn",
    "starlette",
    "matplotlib",
    "jinja2",
}
"""What takes long to import."""


RUN = Path(__file__).parent / "files" / "runs" / "lstm-char" / "half"


@pytest.fixture(scope="module")
def labels(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return save_label_model(tmp_path_factory.mktemp("labels") / "labels.safetensors", "last")


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("model") / "tiny.safetensors"
    return save_bigram_model(path, CharacterTokenizer("\nab"), np.zeros((4, 4)))


def python(code: str, *arguments: str, cwd: Path) -> subprocess.CompletedProcess[str]:
    """Run Python with a text on stdin."""
    return run_command([sys.executable, "-c", code, *arguments], cwd=cwd, text="ab\n")


@pytest.mark.parametrize(
    ("arguments", "needed"),
    [
        (["--version"], set()),
        (["--help"], {"rich"}),
        (["train", "--help"], {"rich"}),
        (["sample", "MODEL", "--prompt", "a", "--length", "5", "--seed", "1"], {"numpy"}),
        (["sample", "MODEL", "--num", "2", "--json", "--length", "5", "--stop", "ab"], {"numpy"}),
        (["perplexity", "MODEL", "-"], {"numpy"}),
        (["answers", "MODEL", "-", "--after", "a"], {"numpy"}),
        (["label", "LABELS", "-"], {"numpy"}),
        (["label", "LABELS", "LABELLED", "--labelled", "--json"], {"numpy"}),
        (["perplexity", "MODEL", "-", "--by", "line", "--format", "json"], {"numpy"}),
        (["next", "MODEL", "ab", "--top", "2"], {"numpy"}),
        (["pairs", "MODEL", "PAIRS"], {"numpy"}),
        (["novelty", "RUN", "--length", "5"], {"numpy"}),
        (["info", "MODEL"], {"numpy"}),
        (["tokenize", "MODEL"], {"numpy"}),
        (["inspect", "states", "MODEL", "-"], {"numpy"}),
        (["inspect", "gradients", "MODEL", "-", "--distance", "0"], {"numpy"}),
        (["vectors", "near", "MODEL", "a"], {"numpy"}),
        (["vectors", "analogies", "MODEL", "QUESTIONS"], {"numpy"}),
        (["vectors", "export", "MODEL", "--out", "OUT"], {"numpy"}),
        (["vectors", "train", "--pairs", "a b"], {"numpy"}),
        (["serve", "--help"], {"rich"}),
        (["corpus", "make", "synthetic-copy", "--characters", "9", "--out", "OUT"], set()),
    ],
)
def test_a_command_imports_only_what_it_needs(
    arguments: list[str], needed: set[str], model: Path, labels: Path, tmp_path: Path
) -> None:
    code = (
        "import json, sys\n"
        "from lmgen.__main__ import main\n"
        "try:\n    main()\n"
        "finally:\n    print(json.dumps(list(sys.modules)), file=sys.stderr)\n"
    )
    (tmp_path / "labelled").write_text("ab\tno\n")
    (tmp_path / "questions").write_text("a b a b\n")
    (tmp_path / "pairs.jsonl").write_text('{"sentence_good": "ab", "sentence_bad": "ba"}\n')
    paths = {
        "MODEL": str(model),
        "LABELS": str(labels),
        "LABELLED": str(tmp_path / "labelled"),
        "QUESTIONS": str(tmp_path / "questions"),
        "OUT": str(tmp_path / "out"),
        "RUN": str(RUN),
        "PAIRS": str(tmp_path / "pairs.jsonl"),
    }
    result = python(code, *(paths.get(word, word) for word in arguments), cwd=tmp_path)

    assert result.returncode == 0, result.stderr
    assert ALL & set(json.loads(result.stderr.splitlines()[-1])) == needed


def test_train_says_what_is_wrong_with_its_settings_before_it_imports_torch(tmp_path: Path) -> None:
    code = (
        "import sys\n"
        "from lmgen.__main__ import main\n"
        "try:\n    main()\n"
        "finally:\n    assert 'torch' not in sys.modules\n"
    )
    result = python(code, "train", "--preset", "good", "--tied", "--output", "adaptive", cwd=tmp_path)

    assert result.returncode == 2
    assert result.stderr.startswith("error: ")
    assert len(result.stderr.splitlines()) == 1


def test_training_does_without_what_torch_has_for_compiling(tmp_path: Path) -> None:
    """It takes a second or two to import."""
    (tmp_path / "text.txt").write_text("one fine day\n" * 200)
    code = (
        "import sys\n"
        "from lmgen.__main__ import main\n"
        "try:\n    main()\n"
        "finally:\n    assert 'torch' in sys.modules and 'torch._dynamo' not in sys.modules\n"
    )
    for optimizer in ("adamw", "adamw-adagrad", "sgd"):
        training = [
            "train",
            "text.txt",
            "--steps",
            "2",
            "--hidden-size",
            "4",
            "--overwrite",
            "--threads",
            "1",
        ]
        result = python(code, *training, "--optimizer", optimizer, cwd=tmp_path)

        assert result.returncode == 0, result.stderr


def test_commands_are_listed_without_being_imported(tmp_path: Path) -> None:
    code = (
        "import sys\n"
        "from lmgen.__main__ import main\n"
        "try:\n    main()\n"
        "finally:\n    assert not any(name.startswith('lmgen.cli.sa') for name in sys.modules)\n"
    )
    result = python(code, "--help", cwd=tmp_path)

    assert (result.returncode, result.stderr) == (0, "")
    assert "sample" in result.stdout


def test_the_package_imports_nothing_of_itself_but_errors(tmp_path: Path) -> None:
    code = "import sys; before = set(sys.modules); import lmgen; print(sorted(set(sys.modules) - before))"

    assert python(code, cwd=tmp_path).stdout == "['lmgen', 'lmgen.errors']\n"


INTERRUPT = """
import os, sys
def interrupt(event, arguments):
    if event == "import" and arguments[0] == {module!r}:
        os.kill(os.getpid(), {number})
sys.addaudithook(interrupt)
from lmgen.__main__ import main
main()
"""
"""Python code that sends itself a signal when it begins to import a module."""

MOMENTS = [
    "enum",
    "lmgen.cli.app",
    "typer",
    "inspect",
    "lmgen.generation.config",
    "lmgen.text_model",
    "numpy",
    "numpy.linalg",
    "safetensors",
    "lmgen.generation.sampler",
    "numpy.random._generator",
]


@pytest.mark.parametrize("module", MOMENTS)
def test_ctrl_c_leaves_no_traceback_whatever_is_being_imported(
    module: str, model: Path, tmp_path: Path
) -> None:
    code = INTERRUPT.format(module=module, number=int(signal.SIGINT))
    result = python(code, "sample", str(model), cwd=tmp_path)

    assert (result.returncode, result.stdout, result.stderr) == (130, "", "")


@pytest.mark.parametrize("module", ["lmgen.cli.app", "numpy.linalg"])
def test_neither_does_sigterm(module: str, model: Path, tmp_path: Path) -> None:
    code = INTERRUPT.format(module=module, number=int(signal.SIGTERM))
    result = python(code, "sample", str(model), cwd=tmp_path)

    assert (result.returncode, result.stdout, result.stderr) == (-signal.SIGTERM, "", "")


@pytest.mark.slow
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
@pytest.mark.parametrize("module", ["torch", "torch.nn", "torch.optim.adam", "lmgen.training.loop"])
def test_a_signal_while_torch_is_imported_is_one_line_and_leaves_nothing_behind(
    module: str, number: int, tmp_path: Path
) -> None:
    code = INTERRUPT.format(module=module, number=int(number))
    result = python(code, "train", "--out", "run", cwd=tmp_path)

    line = "note: stopped before the run began; nothing has changed\n"
    assert (result.returncode, result.stdout, result.stderr) == (128 + number, "", line)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("seconds", [0.02, 0.05, 0.08, 0.11, 0.15, 0.2, 0.25, 0.3])
def test_ctrl_c_at_any_time_ends_with_130(seconds: float, model: Path, tmp_path: Path) -> None:
    """Of the time after Python's own start, which nobody but Python can mend."""
    code = "import os; from lmgen.__main__ import main; os.write(2, b'!'); main()"
    command = [sys.executable, "-c", code, "sample", str(model), "--length", "0"]
    with subprocess.Popen(
        command, cwd=tmp_path, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, env=ENVIRONMENT
    ) as process:
        assert process.stderr
        assert process.stderr.read(1) == b"!"
        time.sleep(seconds)
        process.send_signal(signal.SIGINT)
        stderr = process.stderr.read()

    assert (process.returncode, stderr) == (130, b"")


def test_a_command_in_the_background_of_a_script_is_not_interrupted(tmp_path: Path) -> None:
    """The shell has such commands ignore Ctrl-C, which is meant for what is in the foreground."""
    code = INTERRUPT.format(module="lmgen.cli.app", number=int(signal.SIGINT))
    script = f"import os, signal; signal.signal(signal.SIGINT, signal.SIG_IGN)\n{code}"

    assert python(script, "--version", cwd=tmp_path).stdout.startswith("lmgen 0.")


def test_the_module_of_the_command_line_runs_by_itself_too(tmp_path: Path) -> None:
    """Scripts outside this repository may have called it so."""
    command = [sys.executable, "-m", "lmgen.cli.app", "--version"]

    assert run_command(command, cwd=tmp_path, check=True).stdout.startswith("lmgen 0.")


def test_output_that_was_written_before_ctrl_c_is_whole_characters(model: Path, tmp_path: Path) -> None:
    with subprocess.Popen(
        [*COMMAND, "sample", str(model), "--length", "0"],
        cwd=tmp_path,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        env=ENVIRONMENT,
    ) as process:
        assert process.stdout
        begun = os.read(process.stdout.fileno(), 1)
        process.send_signal(signal.SIGINT)
        rest, stderr = process.communicate(timeout=60)

    assert set(begun + rest) <= set(b"\nab")
    assert (process.returncode, stderr) == (130, b"")
