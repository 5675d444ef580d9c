"""`lmgen perplexity --adapt`: models that learn from a text as they read it, beside those that do not."""

import json
from pathlib import Path
from typing import Any

import pytest

import lmgen as library
from tests.process import lmgen

pytestmark = pytest.mark.slow

TEXT = "".join(f"{number} times {number} is {number * number}\n" for number in range(300))

TINY: dict[str, Any] = {
    "steps": 40,
    "hidden_size": 24,
    "embedding_size": 12,
    "window_length": 16,
    "batch_size": 4,
    "baseline_order": 3,
    "threads": 1,
}

FIXED = ["lstm", "ngram-3"]
ADAPTING = ["lstm+adapt", "ngram-3+adapt"]
MIXED = [*FIXED, "mixture", *ADAPTING, "mixture+adapt"]


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Runs over characters, lines and words, an n-gram model, and a text that none was trained on."""
    folder = tmp_path_factory.mktemp("adapting")
    (folder / "squares.txt").write_text(TEXT)
    (folder / "other.txt").write_text(TEXT[1000:3000].replace("times", "mites"))
    library.train(folder / "squares.txt", out=folder / "chars", **TINY)
    library.train(folder / "squares.txt", out=folder / "lines", unit="line", **TINY)
    library.train(folder / "squares.txt", out=folder / "words", tokenizer="word", **TINY)
    library.train(folder / "squares.txt", out=folder / "alone", **{**TINY, "baseline_order": 0})
    lmgen("ngram", "squares.txt", "--order", "3", "--out", "ngram.safetensors", "--quiet", cwd=folder)
    return folder


def rows(*arguments: str, cwd: Path) -> list[dict[str, Any]]:
    result = lmgen("perplexity", *arguments, "--adapt", "--json", "--quiet", cwd=cwd)
    assert result.returncode == 0, result.stderr
    return [json.loads(line) for line in result.stdout.splitlines()]


@pytest.mark.parametrize("text", [[], ["other.txt"]], ids=["held out", "other"])
@pytest.mark.parametrize("run", ["chars", "lines", "words"])
def test_models_that_adapt_stand_behind_the_others_and_score_the_same_tokens(
    run: str, text: list[str], folder: Path
) -> None:
    found = rows(run, *text, "--mix", cwd=folder)

    assert [row["model"] for row in found] == MIXED
    assert len({row["tokens"] for row in found}) == 1
    nats = {row["model"]: row["nats"] for row in found}
    assert nats["lstm+adapt"] < nats["lstm"]
    assert nats["ngram-3+adapt"] < nats["ngram-3"]


def test_what_does_not_adapt_scores_as_ever(folder: Path) -> None:
    alone = lmgen("perplexity", "chars", "other.txt", "--mix", "--json", "--quiet", cwd=folder)

    found = rows("chars", "other.txt", "--mix", cwd=folder)

    assert found[:3] == [json.loads(line) for line in alone.stdout.splitlines()]


@pytest.mark.parametrize("by", ["record", "line", "word", "token"])
@pytest.mark.parametrize(
    ("flags", "names"),
    [([], ["lstm", "lstm+adapt"]), (["--baseline"], [*FIXED, *ADAPTING]), (["--mix"], MIXED)],
)
def test_rows_of_parts_have_the_order_of_rows_of_texts(
    by: str, flags: list[str], names: list[str], folder: Path
) -> None:
    (folder / "short.txt").write_text(TEXT[1000:1100])

    found = rows("chars", "short.txt", "--by", by, *flags, cwd=folder)

    assert [row["model"] for row in found[: len(names)]] == names
    assert len(found) % len(names) == 0


def test_tokens_sum_to_the_text(folder: Path) -> None:
    by_token = rows("chars", "other.txt", "--by", "token", "--mix", cwd=folder)

    for row in rows("chars", "other.txt", "--mix", cwd=folder):
        bits = sum(each["surprisal_bits"] for each in by_token if each["model"] == row["model"])
        assert bits == pytest.approx(row["bits_per_character"] * row["characters"], rel=1e-4)


def test_tables_and_tsv_name_the_models(folder: Path) -> None:
    for flags, separator in ([], None), (["--format", "tsv"], "\t"):
        result = lmgen("perplexity", "chars", "other.txt", "--adapt", "--mix", *flags, "--quiet", cwd=folder)

        names = [line.split(separator)[0] for line in result.stdout.splitlines()]
        assert names[-7:] == ["model", *MIXED]


def test_steps_are_as_they_are_asked_for(folder: Path) -> None:
    still = rows("chars", "other.txt", "--adapt-rate", "0", cwd=folder)
    chosen = rows(
        "chars",
        "other.txt",
        "--adapt-rate",
        "0.003",
        "--adapt-every",
        "8",
        "--adapt-decay",
        "0.01",
        cwd=folder,
    )

    network, _, unmoved, _ = (row["nats"] for row in still)
    assert unmoved == pytest.approx(network, rel=1e-4)
    assert chosen[2]["nats"] < network
    assert still[3] == chosen[3]  # counts have no steps


def nats(found: list[dict[str, Any]]) -> dict[str, float]:
    """The nats of each model, summed over its rows."""
    sums: dict[str, float] = {}
    for row in found:
        sums[row["model"]] = sums.get(row["model"], 0.0) + row["nats"]
    return sums


@pytest.mark.parametrize("by", ["line", "record"])
def test_what_was_learned_is_kept_from_line_to_line_if_asked_for(by: str, folder: Path) -> None:
    alone = rows("lines", "other.txt", "--by", by, "--mix", cwd=folder)
    across = rows("lines", "other.txt", "--by", by, "--mix", "--adapt-across", cwd=folder)

    (folder / "twice.txt").write_text(
        2 * "".join((folder / "other.txt").read_text()[3:].splitlines(True)[5:9])
    )
    same = rows("lines", "twice.txt", "--by", by, "--mix", cwd=folder)
    half = len(same) // 2
    assert [row["nats"] for row in same[:half]] == [row["nats"] for row in same[half:]] or by == "record"
    for fixed in ("lstm", "ngram-3", "mixture"):
        assert nats(alone)[fixed] == nats(across)[fixed]
    for learning in [*ADAPTING, "mixture+adapt"]:
        assert nats(across)[learning] < nats(alone)[learning] or by == "record"  # one record


def test_what_was_learned_is_kept_from_text_to_text_if_asked_for(folder: Path) -> None:
    texts = ["chars", "other.txt", "other.txt", "--mix"]
    apart, across = rows(*texts, cwd=folder), rows(*texts, "--adapt-across", cwd=folder)

    assert apart[:6] == apart[6:]
    assert across[:6] == apart[:6]
    for before, after in zip(across[3:6], across[9:], strict=True):
        assert after["nats"] < before["nats"]


def test_how_to_adapt_is_found_on_the_validation_text_and_kept(folder: Path) -> None:
    library.train(
        folder / "squares.txt", out=folder / "valid", valid=folder / "squares.txt", **{**TINY, "steps": 60}
    )
    kept = folder / "valid" / "adapting.json"
    flags = ["valid", "other.txt", "--adapt", "--json"]

    rows("valid", "--mix", cwd=folder)
    assert not kept.exists()  # nothing may be learned from the text that is scored
    first = lmgen("perplexity", *flags, "--mix", cwd=folder)
    assert (
        "learning on valid/data/valid.txt how to adapt, which is kept in valid/adapting.json" in first.stderr
    )
    found = json.loads(kept.read_text())["found"]
    [rate] = [each["rate"] for each in found.values() if "rate" in each]
    again = lmgen("perplexity", *flags, "--mix", cwd=folder)
    assert again.stdout == first.stdout
    assert "learning on" not in again.stderr
    alone = rows("valid", "other.txt", cwd=folder)
    assert alone[2]["nats"] == rows("valid", "other.txt", "--adapt-rate", str(rate), cwd=folder)[2]["nats"]
    kept.write_text("{}")
    assert lmgen("perplexity", *flags, "--mix", cwd=folder).stdout == first.stdout


@pytest.mark.parametrize("flags", [[], ["--mix"], ["--num", "2"], ["--learn-from-itself"]], ids=str)
def test_a_prompt_is_learned_from_before_it_is_completed(flags: list[str], folder: Path) -> None:
    prompt = ["--prompt", TEXT[:400], "--length", "40", "--seed", "1", "--json", "--quiet", *flags]

    adapted, again, fixed = (
        lmgen("sample", "chars", *prompt, *adapt, cwd=folder)
        for adapt in (["--adapt"], ["--adapt"], [] if "--learn-from-itself" not in flags else ["--mix"])
    )

    assert adapted.returncode == 0, adapted.stderr
    assert adapted.stdout == again.stdout
    assert adapted.stdout.strip()
    assert fixed.stdout != adapted.stdout


def test_the_next_token_is_predicted_from_what_the_text_taught(folder: Path) -> None:
    text = "is is is is is is is is is is is is is is is is is is is is is is i"

    adapted, fixed = (
        json.loads(lmgen("next", "chars", text, "--of", "s", "--json", "--quiet", *adapt, cwd=folder).stdout)
        for adapt in (["--adapt"], [])
    )

    assert adapted["next"][0]["probability"] != fixed["next"][0]["probability"]


def test_only_a_network_learns_from_a_prompt(folder: Path) -> None:
    result = lmgen("sample", "ngram.safetensors", "--adapt", "--quiet", cwd=folder)

    assert result.returncode == 1
    assert "network" in result.stderr
    result = lmgen("sample", "chars", "--learn-from-itself", "--quiet", cwd=folder)
    assert result.returncode == 2
    assert "--learn-from-itself goes with --adapt" in result.stderr


def test_a_run_without_a_baseline_adapts_its_network_alone(folder: Path) -> None:
    assert [row["model"] for row in rows("alone", "other.txt", cwd=folder)] == ["lstm", "lstm+adapt"]


def test_a_model_file_alone_adapts(folder: Path, tmp_path: Path) -> None:
    (tmp_path / "model.safetensors").write_bytes((folder / "chars" / "model.safetensors").read_bytes())
    (tmp_path / "text.txt").write_text(TEXT[:200])

    found = rows("model.safetensors", "text.txt", cwd=tmp_path)

    assert [row["model"] for row in found] == ["lstm", "lstm+adapt"]


def test_counts_of_an_ngram_file_that_keeps_its_tokens_grow_as_those_of_a_run(folder: Path) -> None:
    given = ["--order", "3", "--valid", "0.1", "--keep-tokens", "--out", "kept.safetensors", "--overwrite"]
    assert lmgen("ngram", "squares.txt", *given, "--quiet", cwd=folder).returncode == 0

    found = rows("kept.safetensors", "other.txt", cwd=folder)

    assert [row["model"] for row in found] == ["ngram-3", "ngram-3+adapt"]
    of_run = rows("chars", "other.txt", cwd=folder)
    assert [row["nats"] for row in found] == [row["nats"] for row in of_run if "ngram" in row["model"]]
    assert (folder / "kept.safetensors").stat().st_size > (folder / "ngram.safetensors").stat().st_size


def test_the_model_file_stays_as_it_is(folder: Path) -> None:
    before = (folder / "chars" / "model.safetensors").read_bytes()

    rows("chars", "other.txt", "--mix", cwd=folder)

    assert (folder / "chars" / "model.safetensors").read_bytes() == before


@pytest.mark.parametrize(
    ("arguments", "code", "message"),
    [
        (
            ["chars", "--adapt-rate", "1"],
            2,
            "only models that adapt have a use for --adapt-rate: add --adapt",
        ),
        (["chars", "--adapt-across"], 2, "only models that adapt have a use for --adapt-across"),
        (["chars", "--adapt", "--adapt-every", "0"], 2, "--adapt-every"),
        (["chars", "--adapt", "--adapt-decay", "2"], 2, "--adapt-decay"),
        (["chars", "--adapt", "--orders", "1-3"], 2, "models that do not adapt: leave --adapt out"),
        (["ngram.safetensors", "other.txt", "--adapt"], 1, "cannot adapt: it is no network"),
        (["ngram.safetensors", "other.txt", "--adapt", "--mix"], 1, "is not in a run folder"),
        (["alone", "other.txt", "--adapt", "--mix"], 1, "was trained without one"),
    ],
)
def test_what_cannot_be_done_is_said_in_a_line(
    arguments: list[str], code: int, message: str, folder: Path
) -> None:
    result = lmgen("perplexity", *arguments, "--quiet", cwd=folder)

    assert result.returncode == code
    assert message in result.stderr
    assert result.stderr.count("\n") == 1 or code == 2
    assert result.stdout == ""
