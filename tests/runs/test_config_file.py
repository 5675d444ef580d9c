"""Where settings come from and which of them wins; what `config.toml` keeps of them."""

import tomllib
from pathlib import Path
from typing import Any

import pytest

import lmgen
from lmgen.data.run_folder import RunFolder
from lmgen.errors import ConfigError
from lmgen.runs import run
from lmgen.runs.config import RunConfig
from lmgen.runs.config_file import as_toml, configured, read_config, read_run_config
from lmgen.runs.events import Interrupted
from lmgen.training.config import TrainingConfig, default_learning_rate
from tests.runs.test_run import TINY, config, stop_after, text, trained, without_times
from tests.runs.test_run import metrics as metrics_of

pytestmark = pytest.mark.slow

__all__ = ["text"]  # a fixture


@pytest.fixture
def base(text: Path, tmp_path: Path) -> Path:
    """A model with dropout of its own."""
    trained(text, tmp_path / "base", steps=1, layers=2, dropout=0.1, dropout_input=0.3, dropout_output=0.6)
    return tmp_path / "base"


PRECEDENCE: list[tuple[dict[str, Any], str, dict[str, Any]]] = [
    ({}, "", {"dropout": 0.0, "hidden_size": 256, "epochs": None}),
    ({"preset": "good"}, "", {"dropout": 0.2, "hidden_size": 384, "minutes": 4.0}),
    ({}, 'preset = "good"', {"dropout": 0.2, "hidden_size": 384, "minutes": 4.0}),
    ({"preset": "best"}, 'preset = "good"', {"dropout": 0.0, "hidden_size": 512, "minutes": 15.0}),
    ({"preset": "good"}, "dropout = 0.3\nsteps = 5", {"dropout": 0.3, "steps": 5, "minutes": None}),
    ({"preset": "good", "dropout": 0.4}, "dropout = 0.3", {"dropout": 0.4, "hidden_size": 384}),
    ({"dropout": 0.4}, "hidden_size = 7\ndropout = 0.3", {"dropout": 0.4, "hidden_size": 7}),
    ({"variational": False}, "variational = true", {"variational": False}),
    ({"preset": "best", "variational": False}, "", {"variational": False, "dropout_output": 0.4}),
    ({"minutes": None}, "minutes = 3", {"minutes": None}),
    ({"clip": None}, "clip = 3", {"clip": None}),
    ({}, 'clip = "none"', {"clip": None}),
    ({"from": True}, "", {"dropout": 0.1, "dropout_input": 0.3, "dropout_output": 0.6, "layers": 2}),
    (
        {"from": True, "preset": "good"},
        "",
        {"dropout": 0.2, "dropout_output": None, "dropout_input": 0.3, "hidden_size": 12, "minutes": 4.0},
    ),
    ({"from": True, "dropout_input": 0.5}, "", {"dropout": 0.1, "dropout_input": 0.5}),
    ({"from": True, "preset": "good"}, "dropout = 0.7", {"dropout": 0.7, "hidden_size": 12}),
    ({"from": True, "preset": "good", "dropout": 0.8}, "dropout = 0.7", {"dropout": 0.8}),
    ({"from": True, "preset": "awd-lstm"}, "", {"weight_drop": 0.5, "last_hidden_size": None, "tied": False}),
    ({"from": True, "preset": "awd-lstm"}, "", {"tokenizer": "char", "optimizer": "sgd", "layers": 2}),
]


@pytest.mark.parametrize(("flags", "file", "expected"), PRECEDENCE)
def test_flags_win_over_the_file_over_the_preset_over_the_origin_over_defaults(
    flags: dict[str, Any], file: str, expected: dict[str, Any], base: Path, tmp_path: Path
) -> None:
    (tmp_path / "file.toml").write_text(file)
    flags = {**flags, "from": str(base)} if "from" in flags else flags
    made = configured({**flags, "config": str(tmp_path / "file.toml")}, "the test")
    values = {
        name: getattr(part, name)
        for part in (made.tokenizer, made.network, made.training)
        for name in expected
        if hasattr(part, name)
    }

    assert values == expected


@pytest.mark.parametrize(
    "flags", [{"hidden_size": 9}, {"last_hidden_size": 9}, {"layers": 1}, {"tokenizer": "word"}]
)
def test_the_shape_of_the_origin_is_not_contradicted_by_flag_or_file(
    flags: dict[str, Any], base: Path, tmp_path: Path
) -> None:
    import tomli_w

    (tmp_path / "file.toml").write_text(tomli_w.dumps(flags))
    for given in (flags, {"config": str(tmp_path / "file.toml")}):
        with pytest.raises(ConfigError, match=r"but .*base/model\.safetensors has .*: leave it out"):
            configured({**given, "from": str(base)}, "the test")


def test_the_file_keeps_what_was_asked_for_and_beside_it_what_was_derived(text: Path, tmp_path: Path) -> None:
    trained(text, tmp_path / "run", device="auto", learning_rate="find")
    saved = tomllib.loads(RunFolder(tmp_path / "run").config.read_text(encoding="utf-8"))
    derived = saved.pop("derived")

    assert saved == {**TINY, "corpus": [str(text)], "device": "auto", "learning_rate": "find"}
    assert {"device", "learning_rate"} == saved.keys() & derived.keys(), "these are not what was asked for"
    assert derived["device"] in ("cpu", "cuda")
    assert isinstance(derived["learning_rate"], float)
    assert (derived["optimizer"], derived["weight_decay"], derived["ema"]) == ("adamw", 0.1, "none")


def test_another_optimizer_brings_its_own_defaults(text: Path, tmp_path: Path) -> None:
    trained(text, tmp_path / "run")
    settings = {"config": str(tmp_path / "run" / "config.toml"), "optimizer": "sgd"}
    training = configured(settings, "the test").resolved().training

    assert training.learning_rate == default_learning_rate("sgd", 12)
    assert training.weight_decay == 0.0
    assert training.steps == TINY["steps"]


def test_a_resumed_run_keeps_its_defaults_when_those_of_lmgen_change(
    text: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    trained(text, tmp_path / "whole")
    list(run.train(config(text), tmp_path / "cut", should_stop=stop_after(7)))
    path = RunFolder(tmp_path / "cut").config
    before = read_run_config(path)
    with monkeypatch.context() as later:
        later.setattr("lmgen.training.config.LEARNING_RATES", {"adamw": 1.0, "sgd": 2.0})
        later.setattr("lmgen.training.config.WEIGHT_DECAYS", {})
        later.setattr(TrainingConfig.__init__, "__kwdefaults__", _other_defaults())
        assert TrainingConfig().window_length == 65
        assert TrainingConfig().ema == 0.5
        assert read_run_config(path).resolved() == before
        list(run.resume(tmp_path / "cut"))

    assert RunFolder(tmp_path / "cut").model.read_bytes() == RunFolder(tmp_path / "whole").model.read_bytes()


def _other_defaults() -> dict[str, Any]:
    changed = {"window_length": 65, "ema": 0.5, "schedule": "constant", "clip": 0.1, "seed": 9}
    return {**(TrainingConfig.__init__.__kwdefaults__ or {}), **changed}


OLD_FORMAT = """\
corpus = ["{text}"]
tokenizer = "char"
min_count = 1
lowercase = false
split_punctuation = false
cell = "lstm"
layers = 1
hidden_size = 12
embedding_size = 8
residual = false
tied = false
output = "softmax"
dropout = 0.0
dropout_input = 0.0
variational = false
dropout_embedding = 0.0
weight_drop = 0.0
state = "carry"
window_length = 8
vary_window_length = false
batch_size = 4
objective = "full"
samples = 1024
optimizer = "adamw"
learning_rate = 0.016
weight_decay = 0.1
schedule = "cosine"
warmup = 0.02
clip = 1.0
activation_penalty = 0.0
slowness_penalty = 0.0
steps = 24
evaluations = 4
evaluation_tokens = 500000
baseline_order = 2
seed = 0
device = "auto"
threads = 1
precision = "float32"
"""
"""What lmgen 0.1 wrote for the settings of `TINY`: all of them, resolved, in one table."""


def test_a_run_of_the_old_format_resumes_and_serves_as_settings(text: Path, tmp_path: Path) -> None:
    trained(text, tmp_path / "whole", output_rate=1.0)
    old = RunFolder(tmp_path / "old")
    list(run.train(config(text, output_rate=1.0), old.folder, should_stop=stop_after(7)))
    old.config.write_text(OLD_FORMAT.format(text=text), encoding="utf-8")
    again = configured({"config": str(old.config)}, "the test").resolved()
    *_, first = run.resume(old.folder, should_stop=stop_after(6))
    list(run.resume(old.folder))

    assert isinstance(first, Interrupted)
    assert old.model.read_bytes() == RunFolder(tmp_path / "whole").model.read_bytes()
    assert without_times(metrics_of(old.folder)) == without_times(metrics_of(tmp_path / "whole"))
    assert again == config(text).resolved()


@pytest.mark.parametrize(
    ("setting", "before"), [("output_rate", 1.0), ("init_output", "zeros"), ("init_embedding", "random")]
)
def test_a_setting_that_an_older_lmgen_did_not_have_is_what_it_did(
    setting: str, before: Any, text: Path, tmp_path: Path
) -> None:
    """Such a run may not have begun its updates: then its weights are drawn by `--resume`."""
    lines = as_toml(config(text).resolved()).splitlines(keepends=True)
    older = tmp_path / "config.toml"
    older.write_text("".join(line for line in lines if not line.startswith(f"{setting} = ")))

    assert len(older.read_text().splitlines()) == len(lines) - 1
    assert getattr(read_run_config(older).training, setting) == before


def test_a_setting_of_none_survives_its_file(text: Path, tmp_path: Path) -> None:
    """The gradient of the first window is longer than 1e-9, so clipping would show."""
    settings = {"clip": None, "optimizer": "sgd", "learning_rate": 0.5}
    trained(text, tmp_path / "whole", **settings)
    list(run.train(config(text, **settings), tmp_path / "cut", should_stop=stop_after(7)))
    kept = read_run_config(RunFolder(tmp_path / "cut").config)
    list(run.resume(tmp_path / "cut"))

    assert kept.training.clip is None
    assert RunFolder(tmp_path / "cut").model.read_bytes() == RunFolder(tmp_path / "whole").model.read_bytes()


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("corpus = 5", "corpus has to be a list of names"),
        ('corpus = "a.txt"', "corpus has to be a list of names"),
        ("corpus = [5]", "corpus has to be a list of names"),
        ("clip = 'nothing'", "clip is 'nothing', but has to be of type float"),
        ("layers = 'none'", "layers is 'none', but has to be of type int"),
        ("derive = 1", "unknown settings derive"),
        ("from = 5", "from is 5, but has to name a model"),
        ("a = " + "[" * 5000 + "]" * 5000, "cannot read the settings in"),
        ("a = ", "cannot read the settings in"),
    ],
)
def test_a_wrong_file_is_named(content: str, message: str, tmp_path: Path) -> None:
    (tmp_path / "wrong.toml").write_text(content)

    for read in (read_run_config, lambda path: configured({"config": str(path)}, "the test")):
        with pytest.raises(ConfigError, match=message) as error:
            read(tmp_path / "wrong.toml")
        assert "wrong.toml" in str(error.value)


def test_a_path_that_is_no_text_is_refused_before_anything_is_written() -> None:
    with pytest.raises(ConfigError, match="rename it"):
        as_toml(RunConfig.from_settings({"corpus": ["\udcff.txt"]}, "here"))


def test_python_takes_paths_a_file_and_a_preset(text: Path, tmp_path: Path) -> None:
    trained(text, tmp_path / "first")
    valid = tmp_path / "valid.txt"
    valid.write_text("ein zwei drei\n" * 20)
    lmgen.train(out=tmp_path / "second", config=tmp_path / "first" / "config.toml", valid=valid, seed=3)

    asked = read_config(tmp_path / "second" / "config.toml")
    assert asked == {**TINY, "corpus": [str(text)], "seed": 3, "valid": str(valid)}
