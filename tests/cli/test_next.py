"""`lmgen next` as a user runs it."""

import json
from pathlib import Path

import numpy as np
import pytest
import typer
from typer.testing import CliRunner, Result

from lmgen.cli.next import next_
from lmgen.tokenizers.characters import CharacterTokenizer
from tests.cli.tiny_model import save_bigram_model

app = typer.Typer()
app.command("next")(next_)


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Whatever came before: line end 1/2, blank 1/4, a 1/8, b and unknown 1/16."""
    path = tmp_path_factory.mktemp("next") / "model.safetensors"
    scores = np.log([1 / 16, 1 / 2, 1 / 4, 1 / 8, 1 / 16])
    return save_bigram_model(path, CharacterTokenizer("\n ab"), np.tile(scores, (5, 1)))


def run(*arguments: str | Path, text: str | None = None) -> Result:
    return CliRunner().invoke(app, [str(argument) for argument in arguments], input=text)


def test_the_table_lists_the_likeliest_tokens_escaped(model: Path) -> None:
    result = run(model, "ab")
    assert result.exit_code == 0
    assert result.stdout.splitlines() == [
        "token  probability     log10",
        "\\n             0.5   -0.3010",
        "▁             0.25   -0.6021",
        "a            0.125   -0.9031",
        "<unk>       0.0625   -1.2041",
        "b           0.0625   -1.2041",
    ]


def test_json_is_one_object_with_tokens_as_they_are(model: Path) -> None:
    result = json.loads(run(model, "ab", "--json", "--top", "2").stdout)
    assert result["text"] == "ab"
    assert [entry["token"] for entry in result["next"]] == ["\n", " "]
    assert result["next"][1] == {
        "token": " ",
        "probability": pytest.approx(0.25),
        "log10": pytest.approx(np.log10(0.25)),
        "token_id": 2,
    }


def test_the_text_can_come_from_stdin(model: Path) -> None:
    assert json.loads(run(model, "-", "--json", text="ab\n").stdout)["text"] == "ab"


def test_without_a_model_the_newest_run_is_used(
    model: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    run_folder = tmp_path / "checkpoints" / "mine"
    run_folder.mkdir(parents=True)
    (run_folder / "config.toml").write_text("")
    (run_folder / "model.safetensors").write_bytes(model.read_bytes())
    result = run("ab", "--top", "1")
    assert result.stdout.startswith("token")
    assert result.stderr == "note: using the newest run, checkpoints/mine\n"


def test_unknown_characters_are_named(model: Path) -> None:
    assert run(model, "aé").stderr == "note: the model never saw 'é' and reads it as unknown\n"


def test_an_unquoted_text_is_wrong_usage(model: Path) -> None:
    result = run(model, "a", "b")
    assert result.exit_code == 2
    assert result.stderr == (
        "error: next takes a model and a text, but was given 3 arguments; "
        "put quotes around a text with blanks\n"
    )


def test_a_model_without_a_text_is_wrong_usage(model: Path) -> None:
    result = CliRunner().invoke(app, [str(model)])
    assert result.exit_code == 2
    assert (
        result.stderr == f"error: {model} is a model, but there is no text; give the text so far after it\n"
    )


def test_a_missing_model_is_one_line(tmp_path: Path) -> None:
    result = run(tmp_path / "none.safetensors", "a")
    assert (result.exit_code, result.stdout) == (1, "")
    assert result.stderr.startswith("error: ")
    assert result.stderr.count("\n") == 1


def test_there_is_at_least_one_token_to_list(model: Path) -> None:
    assert run(model, "a", "--top", "0").exit_code == 2
