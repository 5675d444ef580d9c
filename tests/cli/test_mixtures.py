"""`--mix` and `--orders`: the network, its baselines and their mixture in one table."""

import gzip
import json
import re
import shutil
from pathlib import Path
from typing import Any

import pytest

import lmgen as library
from lmgen.text_model import TextModel
from tests.process import lmgen

pytestmark = pytest.mark.slow

TEXT = "".join(f"{number} times {number} is {number * number}\n" for number in range(300))


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A trained run, and a text that it was not trained on."""
    folder = tmp_path_factory.mktemp("mixtures")
    (folder / "squares.txt").write_text(TEXT)
    (folder / "other.txt").write_text(TEXT[1000:3000])
    library.train(
        folder / "squares.txt",
        out=folder / "run",
        steps=60,
        hidden_size=24,
        embedding_size=12,
        window_length=16,
        batch_size=4,
        baseline_order=3,
        threads=1,
    )
    return folder


def rows(*arguments: str, cwd: Path) -> list[dict[str, Any]]:
    result = lmgen("perplexity", "run", *arguments, "--json", "--quiet", cwd=cwd)
    assert result.returncode == 0, result.stderr
    return [json.loads(line) for line in result.stdout.splitlines()]


@pytest.mark.parametrize("text", [[], ["other.txt"]])
def test_the_mixture_stands_last_and_scores_the_same_tokens(text: list[str], folder: Path) -> None:
    network, baseline, mixture = rows("--mix", *text, cwd=folder)

    assert [row["model"] for row in (network, baseline, mixture)] == ["lstm", "ngram-3", "mixture"]
    assert mixture["tokens"] == network["tokens"]
    assert mixture["nats"] < max(network["nats"], baseline["nats"])
    assert (folder / "run" / "mixture.json").exists()


@pytest.mark.parametrize("orders", ["1-", "-3", "x", "3-1", "0-2"])
def test_orders_are_a_number_or_a_range(orders: str, folder: Path) -> None:
    result = lmgen("perplexity", "run", f"--orders={orders}", cwd=folder)

    assert (result.returncode, result.stdout) == (2, "")
    assert f"error: --orders is '{orders}', but " in result.stderr


def test_orders_show_how_many_numbers_are_estimated(folder: Path) -> None:
    found = rows("--orders", "1-4", "--mix", cwd=folder)

    assert [row["model"] for row in found] == [*(f"ngram-{n}" for n in range(1, 5)), "lstm", "mixture"]
    counts = [row["parameters"] for row in found]
    assert counts[:4] == sorted(counts[:4])
    assert counts[5] is None
    described = lmgen("info", "run", "--json", cwd=folder)
    assert counts[4] == json.loads(described.stdout)["parameters"]
    V = json.loads(described.stdout)["vocabulary_size"]
    assert [row["possible"] for row in found] == [V, V**2, V**3, V**4, None, None]


def test_possible_ngrams_stand_beside_those_seen(folder: Path) -> None:
    """In the table large powers have an exponent, even those that no float can hold; tsv has them in full."""
    table = lmgen("perplexity", "run", "--orders", "1-20", cwd=folder)
    assert table.returncode == 0, table.stderr
    heading, *lines = table.stdout.splitlines()[1:]
    assert re.split(" {2,}", heading)[:3] == ["model", "parameters", "possible n-grams"]
    found = rows("--orders", "20", cwd=folder)[0]
    V = round(found["possible"] ** (1 / 20))
    cells = [line.split() for line in lines]
    assert cells[0][2] == f"{V:,}"
    assert cells[2][2] == f"{V**3:,}"
    assert cells[19][2] == f"{V**20:.2e}"
    assert cells[20][2] == "-"
    tsv = lmgen("perplexity", "run", "--orders", "20", "--format", "tsv", cwd=folder)
    assert f"\t{V**20}" in tsv.stdout


def test_orders_without_the_stored_one_are_mixed_all_the_same(folder: Path) -> None:
    found = rows("--orders", "1", "--mix", cwd=folder)

    assert [row["model"] for row in found] == ["ngram-1", "lstm", "ngram-3", "mixture"]


@pytest.mark.parametrize("by", ["record", "line", "word", "token"])
def test_parts_of_another_text_are_mixed(by: str, folder: Path) -> None:
    found = rows("other.txt", "--by", by, "--mix", cwd=folder)

    assert [row["model"] for row in found[:3]] == ["lstm", "ngram-3", "mixture"]


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--by", "line", "--mix"], "--mix by line needs a TEXT: the weights were fitted on"),
        (["--mix", "--no-baseline"], "leave --order and --no-baseline out"),
        (["--orders", "3-1"], "orders go from 1 on, the lowest first"),
        (["--orders", "many"], "--orders is 'many', but has to be such as 1-8"),
        (["--orders", "1-3", "--by", "line"], "goes with --by document only"),
    ],
)
def test_flags_that_make_no_sense_together_are_refused(
    arguments: list[str], message: str, folder: Path
) -> None:
    result = lmgen("perplexity", "run", *arguments, "--quiet", cwd=folder)

    assert result.returncode == 2
    assert message in result.stderr


def copies_of_validation(folder: Path, tmp_path: Path) -> list[tuple[str, str]]:
    """The text that weights are fitted on by other names, packed, and from a pipe: arguments and stdin."""
    content = (folder / "run" / "data" / "valid.txt").read_bytes()
    (tmp_path / "copy.txt").write_bytes(content)
    (tmp_path / "packed.txt.gz").write_bytes(gzip.compress(content))
    return [(str(tmp_path / "copy.txt"), ""), (str(tmp_path / "packed.txt.gz"), ""), ("-", content.decode())]


@pytest.mark.parametrize("copy", range(3))
def test_nothing_fitted_on_a_text_scores_it_wherever_it_comes_from(
    copy: int, folder: Path, tmp_path: Path
) -> None:
    text, stdin = copies_of_validation(folder, tmp_path)[copy]
    asked = ["--mix", "--adapt", "--json", "--quiet"]
    own = lmgen("perplexity", "run", *asked, cwd=folder)
    found = lmgen("perplexity", "run", text, *asked, cwd=folder, text=stdin)

    expected = [json.loads(line)["nats"] for line in own.stdout.splitlines()]
    assert len(expected) == 6
    assert [json.loads(line)["nats"] for line in found.stdout.splitlines()] == expected
    heat = ["--adapt", "--by", "token", "--format", "heat"]
    coloured = [
        lmgen("perplexity", "run", *each, *heat, cwd=folder, text=stdin).stdout for each in ([], [text])
    ]
    assert coloured[0].splitlines()[1:] == coloured[1].splitlines()[1:]
    refused = lmgen("perplexity", "run", text, "--mix", "--by", "line", cwd=folder, text=stdin)
    assert "--mix by line needs a TEXT: the weights were fitted on" in refused.stderr


def test_only_the_whole_validation_text_is_taken_for_it(folder: Path) -> None:
    """A text that begins as it does, from a pipe too, is scored from its beginning."""
    text = (folder / "run" / "data" / "valid.txt").read_text()[:-1] + "1 times 1\n"
    (folder / "longer.txt").write_text(text)
    own = [row["nats"] for row in rows("--mix", cwd=folder)]
    [file, pipe] = (
        lmgen("perplexity", "run", name, "--mix", "--json", "--quiet", cwd=folder, text=stdin).stdout
        for name, stdin in (("longer.txt", ""), ("-", text))
    )

    found = [json.loads(line) for line in file.splitlines()]
    assert [row["nats"] for row in found] == [json.loads(line)["nats"] for line in pipe.splitlines()]
    assert found[0]["characters"] == len(text)
    weights = json.loads((folder / "run" / "mixture.json").read_text())
    assert weights["whole"] != weights["first_half"]
    assert found[2]["nats"] != pytest.approx(own[2])


def test_what_a_model_without_a_file_is_mixed_by_is_not_kept(folder: Path, tmp_path: Path) -> None:
    run = tmp_path / "run"
    shutil.copytree(folder / "run", run)
    (run / "mixture.json").unlink(missing_ok=True)
    saved = library.load(run)
    changed = saved.with_tensors({"output.bias": -saved.tensors["output.bias"] - 3})

    def scores(model: TextModel) -> dict[str, float]:
        scored = model.perplexity(folder / "other.txt", mix=True, adapt=True)
        return {score.model: score.nats for score in scored}

    of_changed = scores(changed)
    changed.mixed()
    assert not (run / "mixture.json").exists()
    assert not (run / "adapting.json").exists()
    of_saved = scores(saved)
    kept = (run / "mixture.json").read_bytes()
    assert scores(changed) == of_changed
    assert scores(saved) == of_saved
    assert (run / "mixture.json").read_bytes() == kept


@pytest.mark.slow
def test_a_mixture_completes_text(folder: Path) -> None:
    prompt = ["--prompt", "12 times ", "--length", "20", "--seed", "3", "--quiet"]
    mixed, again, alone = (
        lmgen("sample", "run", *prompt, *mix, cwd=folder).stdout for mix in (["--mix"], ["--mix"], [])
    )

    assert mixed == again
    assert mixed.startswith("12 times ")
    assert len(mixed) == len("12 times ") + 20
    assert alone != mixed


def test_a_model_file_alone_has_nothing_to_be_mixed_with(folder: Path, tmp_path: Path) -> None:
    (tmp_path / "alone.safetensors").write_bytes((folder / "run" / "model.safetensors").read_bytes())
    result = lmgen("sample", "alone.safetensors", "--mix", cwd=tmp_path)

    assert result.returncode == 1
    assert "is not in a run folder" in result.stderr
