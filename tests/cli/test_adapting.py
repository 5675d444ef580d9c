"""`lmgen perplexity --adapt`: models that learn from a text as they read it, beside those that do not."""

import json
from math import log2
from pathlib import Path
from typing import Any

import pytest

import lmgen as library
from lmgen.models.adapting import RATES
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
    (folder / "part.txt").write_text(TEXT[:2000])
    (folder / "short.txt").write_text(TEXT[1000:1400].replace("times", "mites"))
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


def test_plain_steps_are_others_with_a_rate_of_their_own(folder: Path) -> None:
    library.train(folder / "squares.txt", out=folder / "plain", valid=folder / "part.txt", **TINY)

    scaled, plain = (
        rows("plain", "other.txt", "--no-baseline", "--adapt-step", step, cwd=folder)[1]["nats"]
        for step in ("rms", "plain")
    )

    assert scaled != plain
    told = json.loads(lmgen("info", "plain", "--json", cwd=folder).stdout)["adapting"]
    rates = {each["adapt_step"]: each["adapt_rate"] for each in told}
    assert {step: log2(rates[step] / first) % 1 for step, first in RATES.items()} == {"rms": 0, "plain": 0}


@pytest.mark.parametrize("by", ["record", "line", "word", "token"])
@pytest.mark.parametrize(
    ("flags", "names"),
    [([], ["lstm", "lstm+adapt"]), (["--baseline"], [*FIXED, *ADAPTING]), (["--mix"], MIXED)],
)
def test_rows_of_parts_have_the_order_of_rows_of_texts(
    by: str, flags: list[str], names: list[str], folder: Path
) -> None:
    (folder / "part.txt").write_text(TEXT[:2000])
    (folder / "short.txt").write_text(TEXT[1000:1100])

    found = rows("chars", "short.txt", "--by", by, *flags, cwd=folder)

    assert [row["model"] for row in found[: len(names)]] == names
    assert len(found) % len(names) == 0


def test_tokens_sum_to_the_text(folder: Path) -> None:
    by_token = rows("chars", "short.txt", "--by", "token", "--mix", cwd=folder)

    for row in rows("chars", "short.txt", "--mix", cwd=folder):
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
    first, second = ([row["nats"] for row in rows] for rows in (same[:half], same[half:]))
    assert (
        first == pytest.approx(second, rel=1e-6) or by == "record"
    )  # products may round by where numbers lie
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
        folder / "squares.txt", out=folder / "valid", valid=folder / "part.txt", **{**TINY, "steps": 60}
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
    cached = scored("valid", "other.txt", "--cache", cwd=folder)
    [cache] = [each for each in json.loads(kept.read_text())["found"].values() if "cache_sharpness" in each]
    given = [f"--{name.replace('_', '-')}={value}" for name, value in cache.items()]
    assert cached == scored("valid", "other.txt", "--cache", *given, cwd=folder)
    assert cached == scored("valid", "other.txt", "--cache", cwd=folder)
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


def scored(*arguments: str, cwd: Path) -> list[dict[str, Any]]:
    result = lmgen("perplexity", *arguments, "--json", "--quiet", cwd=cwd)
    assert result.returncode == 0, result.stderr
    return [json.loads(line) for line in result.stdout.splitlines()]


@pytest.mark.parametrize(
    ("flags", "names"),
    [
        ([], ["lstm", "ngram-3", "lstm+cache"]),
        (["--mix"], ["lstm", "ngram-3", "mixture", "lstm+cache", "mixture+cache"]),
        (["--adapt"], [*FIXED, "lstm+cache", *ADAPTING, "lstm+adapt+cache"]),
        (["--mix", "--adapt"], [*MIXED[:3], "lstm+cache", *ADAPTING, "mixture+adapt+cache"]),
    ],
    ids=str,
)
def test_a_network_with_a_cache_stands_beside_the_others(
    flags: list[str], names: list[str], folder: Path
) -> None:
    found = scored("words", "other.txt", "--cache", *flags, cwd=folder)

    assert [row["model"] for row in found] == names
    assert len({row["tokens"] for row in found}) == 1
    same = scored("words", "other.txt", *flags, cwd=folder)
    for row in same:
        assert row in found or row["model"] == "mixture+adapt"
    sums = nats(found)
    assert sums["lstm+cache"] < sums["lstm"]
    if "--adapt" in flags:
        assert sums[names[-1]] < min(sums["lstm+adapt"], sums["lstm"])


def test_a_cache_is_carried_to_the_next_line_if_asked_for(folder: Path) -> None:
    flags = ["lines", "other.txt", "--by", "line", "--cache"]

    alone, across = scored(*flags, cwd=folder), scored(*flags, "--adapt-across", cwd=folder)

    assert nats(alone)["lstm"] == nats(across)["lstm"]
    assert nats(across)["lstm+cache"] < nats(alone)["lstm+cache"]


def test_a_cache_is_as_it_is_asked_for(folder: Path) -> None:
    flags = ["words", "other.txt", "--cache", "--cache-share"]

    none, shipped, small = (
        scored(*flags, *given, cwd=folder)
        for given in (["0"], ["0.1", "--cache-sharpness", "0.3"], ["0.1", "--cache-size", "3"])
    )

    assert none[2]["nats"] == pytest.approx(none[0]["nats"], rel=1e-5)
    assert shipped == scored("words", "other.txt", "--cache", cwd=folder)  # there is no validation text
    assert small[2]["nats"] != shipped[2]["nats"]


@pytest.mark.parametrize("flags", [[], ["--mix"], ["--learn-from-itself"], ["--adapt"]], ids=str)
def test_a_prompt_is_in_the_cache(flags: list[str], folder: Path) -> None:
    prompt = ["--prompt", TEXT[:400], "--length", "40", "--seed", "1", "--json", "--quiet"]

    with_cache = lmgen("sample", "words", *prompt, "--cache", *flags, cwd=folder)

    assert with_cache.returncode == 0, with_cache.stderr
    others = [flag for flag in flags if flag != "--learn-from-itself"]
    assert with_cache.stdout != lmgen("sample", "words", *prompt, *others, cwd=folder).stdout


def test_the_next_word_may_come_from_the_cache(folder: Path) -> None:
    text = "250 times 3 is 7 250 times 3 is 7 250 times 3 is"

    cached, fixed = (
        json.loads(lmgen("next", "words", text, "--of", "7", "--json", "--quiet", *flags, cwd=folder).stdout)
        for flags in (["--cache"], [])
    )

    assert cached["next"][0]["probability"] > fixed["next"][0]["probability"]


def test_what_was_found_of_adapting_is_in_info(folder: Path) -> None:
    library.train(
        folder / "squares.txt", out=folder / "told", valid=folder / "part.txt", **{**TINY, "steps": 5}
    )
    before = json.loads(lmgen("info", "told", "--json", cwd=folder).stdout)
    rows("told", "other.txt", "--mix", "--cache", cwd=folder)

    told = json.loads(lmgen("info", "told", "--json", cwd=folder).stdout)

    assert "adapting" not in before
    assert [each["of"] for each in told["adapting"]] == ["network", "cache", "mixture+adapt+cache"]
    network, cache, gate = told["adapting"]
    assert (network["adapt_every"], network["adapt_decay"], cache["cache_size"]) == (32, 0, 2000)
    assert gate["adapt_rate"] == network["adapt_rate"] > 0
    assert gate["gate_steps"] > 0
    shown = lmgen("info", "told", cwd=folder).stdout
    assert f"adapting   cache: cache_size 2,000, cache_sharpness {cache['cache_sharpness']:.4g}" in shown
    (folder / "told" / "adapting.json").write_text("[")
    assert json.loads(lmgen("info", "told", "--json", cwd=folder).stdout) == before


@pytest.mark.parametrize("flags", [[], ["--mix", "--cache"]], ids=str)
def test_an_adapted_network_is_saved_as_a_model_of_its_own(
    flags: list[str], folder: Path, tmp_path: Path
) -> None:
    saved = str(tmp_path / "adapted.safetensors")
    before = scored("chars", "other.txt", cwd=folder)[0]

    found = rows("chars", "other.txt", *flags, "--save-adapted", saved, cwd=folder)

    assert found == rows("chars", "other.txt", *flags, cwd=folder)
    [after] = scored(saved, "other.txt", cwd=folder)
    assert after["nats"] < nats(found)["lstm+adapt"] < before["nats"]  # it has read this text
    again = lmgen("perplexity", "chars", "--adapt", "--save-adapted", saved, "--quiet", cwd=folder)
    assert again.returncode == 1
    assert "already; give another --save-adapted" in again.stderr


def test_what_a_prompt_taught_is_saved(folder: Path, tmp_path: Path) -> None:
    saved = str(tmp_path / "adapted.safetensors")
    prompt = ["--prompt", TEXT[:400], "--length", "5", "--seed", "1", "--quiet", "--adapt"]

    plain = lmgen("sample", "chars", *prompt, cwd=folder)
    saving = lmgen("sample", "chars", *prompt, "--save-adapted", saved, cwd=folder)

    assert saving.stdout == plain.stdout
    (tmp_path / "text.txt").write_text(TEXT[:400])
    text = str(tmp_path / "text.txt")
    [after] = scored(saved, text, cwd=folder)
    assert after["nats"] < scored("chars", text, cwd=folder)[0]["nats"]


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["perplexity", "chars", "other.txt"], "add --adapt"),
        (["perplexity", "chars", "other.txt", "other.txt", "--adapt"], "each TEXT begins with the network"),
        (
            ["perplexity", "chars", "other.txt", "--adapt", "--by", "line"],
            "each line begins with the network",
        ),
        (["sample", "chars", "--prompt", "12"], "add --adapt"),
        (["sample", "chars", "--adapt", "--lines", "--prompt", "1"], "each line begins with the network"),
        (["sample", "chars", "--adapt"], "needs a prompt"),
    ],
)
def test_only_a_single_adapted_network_is_saved(
    arguments: list[str], message: str, folder: Path, tmp_path: Path
) -> None:
    result = lmgen(*arguments, "--save-adapted", str(tmp_path / "out"), "--quiet", cwd=folder)

    assert result.returncode == 2
    assert message in result.stderr
    assert result.stdout == ""
    assert list(tmp_path.iterdir()) == []


def test_only_a_network_learns_from_a_prompt(folder: Path) -> None:
    result = lmgen("sample", "ngram.safetensors", "--adapt", "--quiet", cwd=folder)

    assert result.returncode == 1
    assert "network" in result.stderr
    result = lmgen("sample", "chars", "--learn-from-itself", "--quiet", cwd=folder)
    assert result.returncode == 2
    assert "--learn-from-itself goes with --adapt or --cache" in result.stderr


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
        (["chars", "--cache-size", "9"], 2, "a use for --cache-size: add --cache, or leave it out"),
        (["chars", "--cache", "--cache-share", "1"], 2, "--cache-share is 1.0, but has to be below 1.0"),
        (["chars", "--cache", "--cache-size", "200000"], 2, "--cache-size is 200000, but has to be at most"),
        (
            ["chars", "--adapt", "--adapt-every", "200000"],
            2,
            "--adapt-every is 200000, but has to be at most",
        ),
        (["ngram.safetensors", "other.txt", "--cache"], 1, "has no use for a cache, which a network has"),
        (["chars", "--adapt", "--adapt-every", "0"], 2, "--adapt-every"),
        (["chars", "--adapt", "--adapt-rate", "inf"], 2, "--adapt-rate is inf, but has to be at most"),
        (["chars", "--adapt", "--adapt-decay", "2"], 2, "--adapt-decay"),
        (["chars", "--adapt", "--orders", "1-3"], 2, "models that do not adapt: leave --adapt and"),
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
