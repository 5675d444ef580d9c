"""Sizes that are chosen for the time there is."""

import shutil
from dataclasses import replace
from itertools import pairwise
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import pytest

import lmgen
from lmgen.data.prepared import Prepared
from lmgen.data.run_folder import RunFolder
from lmgen.errors import ConfigError, NumericalError
from lmgen.runs import sizes
from lmgen.runs.config import RunConfig
from lmgen.runs.config_file import as_toml, configured, read_config, read_run_config
from lmgen.runs.events import SizesChosen, Started
from lmgen.runs.sizes import SIZES, Bought, choose, fitting
from lmgen.training.config import default_learning_rate
from tests import process

TEXT = "the cat sat on the mat and the dog lay on the log\n" * 200


def config(**settings: Any) -> RunConfig:
    return configured({"minutes": 4.0, **settings}, "here").resolved()


def bought(speed: float, text: int = 1_000_000, minutes: float = 4.0) -> Bought:
    """What is bought where 512 units are a quarter as fast as 256."""
    return Bought(minutes, {256: speed, 512: speed / 4}, text)


@pytest.mark.parametrize("tokenizer", ["char", "word"])
def test_a_faster_machine_never_gets_a_smaller_network(tokenizer: str) -> None:
    speeds = [100 * 1.5**power for power in range(28)]
    of_long = [choose(bought(speed, 10_000_000), config(tokenizer=tokenizer)) for speed in speeds]
    sizes = [settings["hidden_size"] for settings, _ in of_long]

    assert all(slow <= fast for slow, fast in pairwise(sizes))
    assert (sizes[0], sizes[-1]) == (SIZES[0], SIZES[-1])


def test_what_counts_is_the_number_of_tokens_that_the_time_buys() -> None:
    half = choose(bought(20_000, minutes=8.0), config())[0]
    full = choose(bought(40_000, minutes=4.0), config())[0]

    assert half == full


def test_a_text_that_is_read_often_is_learnt_with_more_dropout() -> None:
    dropped = []
    for text in (100_000_000, 1_200_000, 50_000):
        network = config().with_sizes(*choose(bought(40_000, text, 8.0), config())).network
        dropped.append(network.dropout if network.dropout_output is None else network.dropout_output)

    assert dropped[0] == 0.0
    assert dropped == sorted(dropped)
    assert dropped[2] > dropped[1]


def test_a_network_that_is_told_of_ngrams_is_smaller() -> None:
    with_ngrams, without, own = (
        choose(bought(35_000), config(**settings))[0]["hidden_size"]
        for settings in ({}, {"ngram_embedding": "none"}, {"tokenizer": "bpe", "ngram_embedding": 3})
    )

    assert with_ngrams < without
    assert own == with_ngrams


def test_speeds_of_other_sizes_are_interpolated() -> None:
    between = Bought(1.0, {256: 1000.0, 512: 250.0}, 1000)

    assert between.tokens(256) == pytest.approx(60_000)
    assert between.tokens(512) == pytest.approx(15_000)
    assert between.tokens(128) == pytest.approx(240_000)
    assert between.epochs(512) == pytest.approx(15)


def test_what_was_asked_for_is_not_chosen() -> None:
    asked = config(preset="auto", hidden_size=200, dropout=0.35)
    settings, reason = choose(Bought(4.0, {200: 50_000.0}, 100_000), asked)
    chosen = asked.with_sizes(settings, reason)

    assert (chosen.network.hidden_size, chosen.network.dropout) == (200, 0.35)
    assert not chosen.network.variational
    assert "1 x 200, --dropout 0.35 as given: 4:00 buys" in reason


def test_the_learning_rate_is_that_of_the_size_that_is_chosen() -> None:
    asked = config(ngram_embedding="none")
    chosen = asked.with_sizes(*choose(bought(1e9, 10_000_000), asked))

    assert chosen.network.hidden_size == SIZES[-1]
    assert chosen.training.learning_rate == pytest.approx(8e-3 * 256 / SIZES[-1])


def test_the_reason_says_what_the_time_buys() -> None:
    settings, reason = choose(bought(40_000, text=3_200_000), config(preset="auto", hidden_size=256))

    assert (
        reason == "5-gram embedding (dropout 0.5), 1 x 256, no dropout: 4:00 buys 3 epochs at 40,000 tokens/s"
    )
    assert settings["hidden_size"] == 256


@pytest.mark.parametrize(("epochs", "rate"), [(1.9, 0.0), (2.1, 0.5), (8.9, 0.5), (9.1, 0.7)])
def test_the_more_often_a_text_is_read_the_more_ngrams_are_dropped(epochs: float, rate: float) -> None:
    asked = config(preset="auto", hidden_size=256)
    settings, _ = choose(bought(1e6 * epochs / 240), asked)

    assert asked.with_sizes(settings, "").network.dropout_ngrams == rate


@pytest.mark.parametrize(
    ("text", "settings", "streams", "rate"),
    [
        (10_000_000, {}, 64, 1.6e-2),
        (1_900_000, {"minutes": 1.0}, 32, 8e-3),
        (10_000_000, {"minutes": 1.5}, 64, 1.6e-2),
        (10_000_000, {"minutes": 0.5}, 32, 8e-3),
        (10_000_000, {"minutes": 0.25}, 16, 8e-3),
        (1_000_000, {}, 16, 8e-3),
        (10_000_000, {"batch_size": 24}, 24, 8e-3),
        (10_000_000, {"learning_rate": 1e-3}, 64, 1e-3),
        (10_000_000, {"ngram_embedding": "none"}, 16, 8e-3),
        (10_000_000, {"tokenizer": "bpe"}, 16, 8e-3),
    ],
)
def test_more_streams_are_chosen_for_all_ngrams_of_a_text_that_is_not_read_often(
    text: int, settings: dict[str, Any], streams: int, rate: float
) -> None:
    asked = config(preset="auto", hidden_size=256, **settings)
    chosen, reason = choose(bought(40_000, text, asked.training.minutes or 0.0), asked)
    training = asked.with_sizes(chosen, reason).training

    assert training.batch_size == streams
    assert training.learning_rate == pytest.approx(rate)
    assert (f", {streams} streams: " in reason) == (streams in (32, 64))


@pytest.mark.parametrize(
    ("text", "rows"), [(100, 1024), (100_000, 16_384), (1_000_000, 131_072), (1 << 40, 131_072)]
)
def test_a_long_text_has_a_larger_table_of_ngrams(text: int, rows: int) -> None:
    assert choose(bought(40_000, text), config())[0]["ngram_rows"] == rows


@pytest.mark.parametrize(
    ("settings", "order"),
    [
        ({}, 5),
        ({"tokenizer": "byte", "cell": "gru"}, 5),
        ({"ngram_embedding": 3}, 3),
        ({"ngram_embedding": "none"}, None),
        ({"preset": "auto", "embedding_size": 0}, None),
        ({"preset": "auto", "optimizer": "sgd"}, None),
        ({"preset": "auto", "answers_after": "=", "unit": "line"}, None),
        ({"tokenizer": "word"}, None),
        ({"tokenizer": "bpe"}, None),
    ],
    ids=str,
)
def test_characters_and_bytes_are_embedded_with_their_ngrams(
    settings: dict[str, Any], order: int | None
) -> None:
    asked = config(**settings)
    chosen, reason = choose(bought(40_000), asked)

    assert asked.with_sizes(chosen, reason).network.ngram_embedding == order
    assert ("ngram_rows" in chosen) == (order is not None)
    assert reason.startswith("1 x" if order is None else f"{order}-gram embedding (dropout 0.7), 1 x")


def test_a_given_dropout_of_ngrams_leaves_the_others_to_be_chosen() -> None:
    asked = config(dropout_ngrams=0.3)
    settings, reason = choose(bought(40_000, 100_000), asked)
    chosen = asked.with_sizes(settings, reason).network

    assert asked.fit_sizes
    assert chosen.dropout_ngrams == 0.3
    assert chosen.dropout > 0 or chosen.dropout_output
    assert reason.startswith("5-gram embedding (dropout 0.3), 1 x")


@pytest.mark.parametrize(
    ("settings", "fitted"),
    [
        ({"minutes": 1.0}, True),
        ({"minutes": 1.0, "cell": "gru"}, True),
        ({"preset": "good"}, True),
        ({"preset": "good", "hidden_size": 64}, True),
        ({"preset": "auto", "minutes": 1.0}, True),
        ({"minutes": 1.0, "hidden_size": 64}, False),
        ({"minutes": 1.0, "dropout": 0.1}, False),
        ({"preset": "good", "layers": 2, "hidden_size": 20, "dropout": 0.1}, False),
        ({"minutes": 1.0, "labels": True}, False),
        ({"preset": "good", "steps": 5}, False),
        ({"preset": "awd-lstm", "minutes": 1.0}, False),
        ({"steps": 5}, False),
        ({}, False),
    ],
)
def test_sizes_are_chosen_for_a_time_by_itself_and_for_presets_of_a_time(
    settings: dict[str, Any], fitted: bool
) -> None:
    assert configured(settings, "here").fit_sizes is fitted


@pytest.mark.parametrize("settings", [{"labels": True}, {"from": "base"}])
def test_auto_where_there_is_nothing_to_choose_is_refused(tmp_path: Path, settings: dict[str, Any]) -> None:
    if "from" in settings:
        lmgen.train(TEXT, out=tmp_path / "base", hidden_size=8, steps=1, baseline_order=0)
        settings = {"from": str(tmp_path / "base")}

    with pytest.raises(ConfigError, match="--preset auto chooses sizes, but"):
        configured({"preset": "auto", "minutes": 1.0, **settings}, "here")


def test_of_a_preset_nothing_is_left_beside_the_dropout_that_was_asked_for() -> None:
    asked = config(preset="best", dropout=0.3)
    network = asked.with_sizes(*choose(bought(40_000), asked)).network

    assert (network.dropout, network.variational, network.dropout_input) == (0.3, False, 0.0)
    assert network.dropout_before_output == 0.3


@pytest.mark.parametrize(
    ("text", "settings", "start"),
    [
        (10_000_000, {}, "frequencies"),
        (1_000_000, {}, "zeros"),
        (10_000_000, {"init_output": "zeros"}, "zeros"),
        (1_000_000, {"init_output": "frequencies"}, "frequencies"),
        (10_000_000, {"unit": "line", "answers_after": "="}, "zeros"),
    ],
)
def test_a_text_that_is_not_read_often_starts_with_how_frequent_tokens_are(
    text: int, settings: dict[str, Any], start: str
) -> None:
    asked = config(hidden_size=256, preset="auto", **settings)

    assert asked.with_sizes(*choose(bought(40_000, text), asked)).training.init_output == start


@pytest.mark.parametrize("budget", [{"steps": 2}, {"epochs": 0.1}])
def test_a_run_killed_before_sizes_were_chosen_goes_on_with_another_budget(
    tmp_path: Path, budget: dict[str, Any]
) -> None:
    run = RunFolder(tmp_path / "run")
    lmgen.train(TEXT, out=run.folder, minutes=0.005, baseline_order=0)
    run.config.write_text(as_toml(replace(read_run_config(run.config), fit_sizes=True, fitted="")))
    shutil.rmtree(run.last.parent)
    run.model.unlink()

    assert lmgen.resume(run.folder, **budget).training["steps"] >= 1
    assert not read_run_config(run.config).fit_sizes


def test_a_network_that_fails_at_once_ends_in_one_error(tmp_path: Path) -> None:
    with pytest.raises(NumericalError, match="unstable from its first updates on"):
        lmgen.train(
            TEXT, out=tmp_path / "run", preset="quick", minutes=0.01, cell="rnn-relu", init_scale=1000.0
        )


def test_auto_without_a_time_is_refused() -> None:
    with pytest.raises(ConfigError, match="give --minutes"):
        configured({"preset": "auto"}, "here")


def test_words_get_the_output_and_optimiser_for_large_vocabularies_with_a_time_alone() -> None:
    assert config(tokenizer="word").network.output == "adaptive"
    assert config(tokenizer="word").training.optimizer == "adamw-adagrad"
    assert config(tokenizer="word", output="softmax").training.optimizer == "adamw"


def test_a_run_that_is_killed_before_sizes_are_chosen_still_chooses(tmp_path: Path) -> None:
    (tmp_path / "config.toml").write_text(as_toml(config()))

    assert read_run_config(tmp_path / "config.toml").fit_sizes


def test_a_run_keeps_what_was_chosen_and_why(tmp_path: Path) -> None:
    events: list[object] = []
    lmgen.train(TEXT, minutes=0.01, out=tmp_path / "run", on_event=events.append, baseline_order=0)

    [chosen] = [event for event in events if isinstance(event, SizesChosen)]
    [started] = [event for event in events if isinstance(event, Started)]
    kept = read_run_config(tmp_path / "run" / "config.toml")
    assert kept.fitted == chosen.reason
    assert not kept.fit_sizes
    assert kept.network == started.config.network
    assert f"1 x {kept.network.hidden_size}" in chosen.reason
    assert read_config(tmp_path / "run" / "config.toml").keys() >= {"minutes"}
    assert "hidden_size" not in read_config(tmp_path / "run" / "config.toml")


@pytest.mark.slow
def test_the_command_says_what_it_chose_and_resumes_with_it(tmp_path: Path) -> None:
    (tmp_path / "text.txt").write_text(TEXT)
    flags = ("--preset", "auto", "--minutes", "0.01", "--out", "run", "--threads", "1")
    first = process.lmgen("train", "text.txt", *flags, cwd=tmp_path)
    size = read_run_config(tmp_path / "run" / "config.toml").network.hidden_size
    again = process.lmgen("train", "--resume", "--out", "run", "--minutes", "0.02", cwd=tmp_path)
    estimated = process.lmgen("train", "text.txt", "--minutes", "0.01", "--estimate", cwd=tmp_path)

    assert first.returncode == again.returncode == estimated.returncode == 0, first.stderr + again.stderr
    assert f"1 x {size}, " in first.stderr
    assert "chosen" not in again.stderr
    assert read_run_config(tmp_path / "run" / "config.toml").network.hidden_size == size
    assert "chosen for the time there is: 5-gram embedding" in estimated.stderr


@pytest.mark.parametrize(("speed", "asked"), [(1e5, 128), (1e7, 512)])
def test_a_larger_size_is_measured_if_the_first_one_reads_enough_and_else_a_smaller_one(
    speed: float, asked: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """For 0.1 minutes, the speed of 256 being known."""
    measured: list[int] = []

    def new_trainer(_: object, config: RunConfig, __: object) -> None:
        measured.append(config.network.hidden_size)

    monkeypatch.setattr(sizes, "new_trainer", new_trainer)
    monkeypatch.setattr("lmgen.training.speed.tokens_per_second", lambda *_: speed / 4)
    chosen, _ = fitting(
        RunFolder(Path("run")),
        config(minutes=0.1),
        cast(Prepared, SimpleNamespace(train=SimpleNamespace(tokens=10**8))),
        {256: speed},
    )

    assert measured == [asked]
    assert (chosen["hidden_size"] > 256) == (asked == 512)


@pytest.mark.parametrize(
    ("device", "streams", "dropped"), [("cpu", [16, 16], 0.0), ("cuda", [16] * 2 + [64] * 2, 0.5)]
)
def test_more_streams_are_measured_where_they_read_more(
    device: str, streams: list[int], dropped: float, monkeypatch: pytest.MonkeyPatch
) -> None:
    """An update takes 5 ms on this GPU, whatever its size: 64 streams read the text four times, not once."""
    measured: list[int] = []

    def new_trainer(_: object, config: RunConfig, __: object) -> int:
        measured.append(config.training.batch_size)
        return config.training.batch_size

    monkeypatch.setattr(sizes, "new_trainer", new_trainer)
    monkeypatch.setattr("lmgen.training.speed.tokens_per_second", lambda streams, _: streams * 64 / 0.005)
    asked = config(minutes=0.75)
    asked = replace(asked, training=replace(asked.training, device=device))
    prepared = cast(Prepared, SimpleNamespace(train=SimpleNamespace(tokens=9_000_000)))
    chosen, reason = fitting(RunFolder(Path("run")), asked, prepared)
    found = asked.with_sizes(chosen, reason)

    assert measured == streams
    assert (found.training.batch_size, found.network.dropout_ngrams) == (64, dropped)
    assert found.training.learning_rate == 2 * default_learning_rate("adamw", found.network.hidden_size)
