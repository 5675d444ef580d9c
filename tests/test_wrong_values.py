"""
A setting, a flag or a file of a run that holds a wrong or an extreme value: one line, or a run that works.

The settings are taken from the dataclasses, so a new one is tested without a change here.
"""

import json
import shutil
import zlib
from collections.abc import Iterator, Sequence
from dataclasses import fields
from math import inf, nan
from pathlib import Path
from typing import Any

import pytest
import tomli_w
import torch
from typer.testing import CliRunner, Result

from lmgen.cli.app import app
from lmgen.data.config import HeldOutConfig
from lmgen.data.run_folder import RunFolder
from lmgen.errors import ConfigError
from lmgen.generation.config import SamplingConfig
from lmgen.models.model_file import load_tensors, save_tensors
from lmgen.models.network.config import NetworkConfig
from lmgen.runs import run
from lmgen.runs.config import RunConfig
from lmgen.runs.config_file import configured, read_config
from lmgen.settings import explanation, kind
from lmgen.tokenizers.config import TokenizerConfig
from lmgen.training.checkpoints import _checksum
from lmgen.training.config import BUDGET, TrainingConfig
from lmgen.training.position import Position
from lmgen.training.process import computing

pytestmark = pytest.mark.slow

TINY: dict[str, Any] = {
    "hidden_size": 3,
    "embedding_size": 2,
    "batch_size": 2,
    "window_length": 4,
    "evaluations": 1,
    "baseline_order": 0,
}

RUN_SETTINGS = [
    (part, field.name)
    for part in (HeldOutConfig, TokenizerConfig, NetworkConfig, TrainingConfig)
    for field in fields(part)
]

NUMBERS = [
    (part, name) for part, name in RUN_SETTINGS if kind(part, name)[0] in (int, float) and name != "threads"
]
"""Threads have a test of their own: the most that are allowed take long to start."""

WRONG: list[Any] = [5, 2.5, True, "2", "", "a\x00b", "x" * 5000, [], ["x"], [1], {}, {"x": 1}]
"""Of every kind that TOML and JSON have."""

EXTREMES: list[Any] = [-1, 0, 10**18, 10**30, 10**400, 10**5000, 5e-324, 1e30, 1e308, inf, nan]

COMPANIONS: dict[str, dict[str, Any]] = {
    "samples": {"objective": "sampled"},
    "token_learning_rate": {"optimizer": "adamw-adagrad"},
    "ema": {"steps": 4},
}
"""What some settings need to have an effect."""

JSON_VALUES: list[Any] = [
    None,
    True,
    -1,
    0,
    2.5,
    10**30,
    1e308,
    nan,
    inf,
    "2",
    "x" * 5000,
    [],
    ["2"],
    {},
    {"a": {}},
]


@pytest.fixture(scope="module")
def text(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("text") / "text.txt"
    path.write_text("the cat sat on the mat\nthe dog did not\n" * 5)
    return path


@pytest.fixture(scope="module")
def finished(text: Path, tmp_path_factory: pytest.TempPathFactory) -> RunFolder:
    """A run that has ended, with every file that a run can have."""
    folder = RunFolder(tmp_path_factory.mktemp("runs") / "run")
    settings = {**TINY, "corpus": [str(text)], "baseline_order": 2, "steps": 3, "threads": 1}
    for _ in run.train(RunConfig.from_settings(settings, "the test"), folder.folder):
        pass
    assert _lmgen("perplexity", str(folder.folder), "--mix").exit_code == 0
    return folder


@pytest.fixture
def copied(finished: RunFolder, tmp_path: Path) -> RunFolder:
    return RunFolder(Path(shutil.copytree(finished.folder, tmp_path / "copied")))


@pytest.mark.parametrize("name", ["corpus", "from", "extend_vocabulary", "preset"])
@pytest.mark.parametrize("value", WRONG, ids=lambda value: repr(value)[:12])
def test_what_is_no_setting_of_a_part_is_checked_too(
    name: str, value: Any, text: Path, tmp_path: Path
) -> None:
    _trained_or_refused(tmp_path, {**TINY, "corpus": [str(text)], "steps": 1, name: value})


@pytest.mark.parametrize(("part", "name"), RUN_SETTINGS)
def test_values_of_another_type_are_refused_by_name(part: type, name: str, tmp_path: Path) -> None:
    plain, _ = kind(part, name)
    words = explanation(part.__dataclass_fields__[name]).words  # type: ignore[attr-defined]
    for value in WRONG:
        if type(value) is plain or (plain is float and type(value) is int) or value in words:
            continue
        if part is HeldOutConfig and type(value) in (int, float):  # a fraction (tests/data/test_splitting.py)
            continue
        file = tmp_path / "config.toml"
        file.write_text(tomli_w.dumps({name: value}), encoding="utf-8")
        with pytest.raises(ConfigError, match=f"{name} is .* of type {plain.__name__}"):
            configured(read_config(file), str(file))


@pytest.mark.parametrize(("part", "name"), NUMBERS)
def test_extreme_numbers_are_refused_or_work(part: type, name: str, text: Path, tmp_path: Path) -> None:
    budget = {"steps": 2} if name not in BUDGET else {}
    for value in _extremes(part, name):
        settings = {**TINY, "corpus": [str(text)], **budget, **COMPANIONS.get(name, {}), name: value}
        if name in BUDGET:
            _trained_or_refused(tmp_path, settings, "--estimate")
        else:
            _trained_or_refused(tmp_path, settings)


def _extremes(part: type, name: str) -> Iterator[Any]:
    """Numbers far out, and the last ones that are allowed, unless they only cost memory."""
    known = explanation(part.__dataclass_fields__[name])  # type: ignore[attr-defined]
    yield from EXTREMES
    if part is not NetworkConfig:
        yield from (limit for limit in (known.minimum, known.maximum) if limit is not None)


@pytest.mark.parametrize("name", [field.name for field in fields(SamplingConfig)])
def test_sampling_refuses_or_works(name: str, finished: RunFolder) -> None:
    flag = "--" + name.replace("_", "-")
    for value in EXTREMES:
        if name == "length" and isinstance(value, int) and value != -1:  # it is endless, or as good as that
            continue
        spelled = "9" * 5000 if value == 10**5000 else str(value)
        _check(_lmgen("sample", str(finished.folder), "--length", "3", flag, spelled))


@pytest.mark.parametrize("key", ["corpus", "train_tokens", "steps", "epochs", "valid_nats_per_token", "new"])
def test_the_summary_in_a_model_may_say_anything(key: str, copied: RunFolder) -> None:
    for value in JSON_VALUES:
        for file in (copied.model, copied.ngram):
            _change_header(file, ["training", key], value)
        for arguments in (["info"], ["info", "--json"], ["perplexity"]):
            _check(_lmgen(*arguments, str(copied.folder)))
        _resume(copied)


@pytest.mark.parametrize("name", [field.name for field in fields(NetworkConfig)])
def test_the_network_in_a_model_may_say_anything(name: str, copied: RunFolder) -> None:
    for value in JSON_VALUES:
        _change_header(copied.model, ["config", "network", name], value)
        _check(_lmgen("info", str(copied.folder)))


@pytest.mark.parametrize("name", [field.name for field in fields(Position)])
def test_a_checkpoint_may_say_anything(name: str, copied: RunFolder) -> None:
    original = copied.last.read_bytes()
    for value in [*JSON_VALUES, 10**400, [nan], [10**400], [inf, 1.0], [1, "x"]]:
        copied.last.write_bytes(original)
        copied.previous.unlink(missing_ok=True)
        _change_header(copied.last, ["position", name], value)
        header, arrays = load_tensors(copied.last)
        save_tensors(copied.last, arrays, {**header, "crc32": _checksum(header, sorted(arrays.items()))})
        _resume(copied)


@pytest.mark.parametrize("key", ["corpus", "tokenizer", "parts", "crc32", "own_crc32"])
def test_prepared_json_may_say_anything(key: str, copied: RunFolder) -> None:
    saved = json.loads(copied.prepared.read_text())
    for value in JSON_VALUES:
        _write_prepared(copied, {**saved, key: value})
        _resume(copied)


@pytest.mark.parametrize("part", ["train", "valid"])
@pytest.mark.parametrize("key", ["tokens", "unknown_tokens", "characters", "bytes", "words"])
def test_the_counts_of_a_text_may_be_anything(part: str, key: str, copied: RunFolder) -> None:
    saved = json.loads(copied.prepared.read_text())
    for value in [*JSON_VALUES, 10**400]:
        changed = json.loads(json.dumps(saved))
        changed["parts"][part][key] = value
        _write_prepared(copied, changed)
        _resume(copied)


@pytest.mark.parametrize("key", ["whole", "first_half", "second_half", "half", "models"])
def test_mixture_json_may_say_anything(key: str, copied: RunFolder) -> None:
    saved = json.loads(copied.mixture.read_text())
    for value in [*JSON_VALUES, 10**400, [nan, 1.0], [1e308, -1e308], [0.5, 0.5]]:
        copied.mixture.write_text(json.dumps({**saved, key: value}))
        _check(_lmgen("perplexity", str(copied.folder), "--mix"))


@pytest.mark.parametrize("key", ["step", "train_nats_per_token", "valid_nats_per_token", "seconds"])
def test_metrics_may_say_anything(key: str, copied: RunFolder) -> None:
    lines = [json.loads(line) for line in copied.metrics.read_text().splitlines()]
    for value in [*JSON_VALUES, 10**400]:
        copied.metrics.write_text("".join(json.dumps({**line, key: value}) + "\n" for line in lines))
        _resume(copied)


def test_training_says_in_one_way_that_memory_is_short() -> None:
    for shape in ((10**12,), (10**12, 10**9)):
        with pytest.raises(MemoryError), computing(1):
            torch.zeros(shape)


def test_a_config_that_is_nested_too_deep_is_one_clear_error(tmp_path: Path) -> None:
    file = tmp_path / "config.toml"
    file.write_text("steps = " + "[" * 100_000)

    with pytest.raises(ConfigError, match="cannot read the settings"):
        read_config(file)


def _trained_or_refused(tmp_path: Path, settings: dict[str, Any], *flags: str) -> None:
    """Train by a configuration file; numbers that no such file can hold are given to Python alone."""
    folder, file = tmp_path / "run", tmp_path / "config.toml"
    shutil.rmtree(folder, ignore_errors=True)
    try:
        file.write_text(tomli_w.dumps({"threads": 1, **settings}), encoding="utf-8")
    except ValueError:
        with pytest.raises(ConfigError):
            configured(settings, "the test")
        return
    _check(_lmgen("train", "--config", str(file), *flags, *([] if flags else ["--out", str(folder)])))


def _resume(copied: RunFolder) -> None:
    result = _lmgen("train", "--resume", "--out", str(copied.folder), "--json")
    if _check(result):
        json.loads(result.stdout, parse_constant=_refuse)


def _refuse(constant: str) -> None:
    raise ValueError(f"{constant} is not JSON")


def _lmgen(*arguments: str) -> Result:
    return CliRunner().invoke(app, arguments, standalone_mode=False)


def _check(result: Result) -> bool:
    """See that a command did its work, or said in one line why not; whether it did its work."""
    error = result.exception
    if error is not None and not isinstance(error, SystemExit):
        assert hasattr(error, "format_message"), repr(error)  # a usage error: `main` makes a line of it
        return False
    code = result.return_value if result.exit_code == 0 else result.exit_code
    assert code in (None, 0, 1, 2)
    if code:
        *_, last = result.stderr.splitlines()
        assert last.startswith("error: ")
        assert "a bug in lmgen" not in last
    return not code


def _change_header(file: Path, names: Sequence[str], value: Any) -> None:
    """Put a value into a header, where the names lead."""
    header, arrays = load_tensors(file)
    *path, last = names
    part: dict[str, Any] = header
    for name in path:
        part = part[name]
    part[last] = value
    save_tensors(file, arrays, header)


def _write_prepared(copied: RunFolder, saved: dict[str, Any]) -> None:
    """With its own checksum made anew, unless that is what is wrong."""
    rest = {name: value for name, value in saved.items() if name != "own_crc32"}
    if saved["own_crc32"] in (None, *JSON_VALUES):
        copied.prepared.write_text(json.dumps(saved))
    else:
        copied.prepared.write_text(json.dumps({**rest, "own_crc32": zlib.crc32(json.dumps(rest).encode())}))
