"""
Where a run's settings come from, and how its `config.toml` keeps them. Imports no torch.

`config.toml` begins with what was asked for, by the names of the flags; `--config` reads only this. Its table
`[derived]` holds all the other settings as the run has them: defaults, what a preset or the model of `--from`
said, the learning rate that was found, the device and the number of threads. `--resume` reads both, so that
a run goes on with the same settings whatever the defaults are by then.

Without the table `[derived]` a `config.toml` is one of an older lmgen, which wrote all settings side by side,
as if all had been asked for.
"""

import tomllib
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from types import MappingProxyType
from typing import Any

from lmgen.errors import ConfigError
from lmgen.runs.config import RunConfig
from lmgen.runs.finetuning import open_origin, refuse_contradictions
from lmgen.runs.presets import preset_settings, to_be_fitted, with_implied_preset
from lmgen.text.sources import Text
from lmgen.tokenizers.config import with_implied_tokenizer

DERIVED = "derived"

WITHOUT = {"output_rate": 1.0}
"""Settings that an older lmgen did not have, and what it did then."""

ASKED_COMMENT = "# What was asked for. `lmgen train --config` reads this part.\n"
DERIVED_COMMENT = "\n# All other settings, as this run has them. `lmgen train --resume` goes on with these.\n"


def configured(
    settings: Mapping[str, Any], where: str, texts: Mapping[str, Text] = MappingProxyType({})
) -> RunConfig:
    """
    The configuration of a new run. Where several of these set the same thing, the first one counts:

    1. a flag, or an argument in Python;
    2. the file of `--config`;
    3. the sizes that fit a budget of time (sizes.py), unless 1 and 2 say how the network is shaped;
    4. `--preset`, whose budget counts only where 1 and 2 give none;
    5. the model of `--from`;
    6. the default.

    The tokenizer and the shape of the network are always those of the model of `--from`: a preset's are
    passed over, and a flag or a file that contradicts them is an error.

    Args:
        settings: by the names of the flags; `config`, `preset` and `from` among them.
        where: where they were given, for messages.
        texts: the texts that some names of files stand for (text/given.py).

    Raises:
        ConfigError: a name is unknown, a value is wrong, or the file cannot be read.
        ModelError: the model of `--from` cannot be used.
    """
    asked = dict(settings)
    file = asked.pop("config", None)
    if file is not None:
        asked = {**read_config(Path(file)), **asked}
        where = f"{file} and {where}"
    given = {name: value for name, value in asked.items() if name != "preset"}
    name = given.get("from")
    origin = open_origin(name) if isinstance(name, str) else None
    shape = origin.shape if origin else {}
    if origin:
        refuse_contradictions(given, origin)
    tokenizer = with_implied_tokenizer({**shape, **given}).get("tokenizer")
    with_preset = with_implied_preset(asked)
    preset = preset_settings(with_preset, tokenizer, where)
    chosen = {**preset, **given}
    if to_be_fitted(with_preset.get("preset"), chosen, asked.keys()):
        chosen["fit_sizes"] = True
    inherited = {**origin.regularization_beside(chosen), **origin.reading} if origin else {}
    try:
        config = RunConfig.from_settings({**inherited, **chosen, **shape}, where, asked)
        config.refuse_idle()
    except ConfigError as error:
        if file is not None:  # what is wrong may be a key of the file, and no flag
            error.at_the_shell = None
        raise
    return replace(config, texts=texts)


def read_config(path: Path) -> dict[str, Any]:
    """
    The settings that a TOML file asks for, by the names of the flags.

    Raises:
        ConfigError: the file is missing or is not TOML.
    """
    settings = _read(path)
    if not isinstance(settings.pop(DERIVED, {}), dict):
        raise _no_table(path)
    return settings


def read_run_config(path: Path) -> RunConfig:
    """
    The settings of a run that goes on.

    Raises:
        ConfigError: its `config.toml` is missing or damaged.
    """
    return _run_config(_read(path), path)


def run_config_in(text: str, path: Path) -> RunConfig:
    """The settings of a run, as `as_toml` wrote them; `path` is where they are kept, for messages."""
    return _run_config(tomllib.loads(text), path)


def as_toml(config: RunConfig) -> str:
    """
    What `config.toml` says.

    Raises:
        ConfigError: a path cannot be written down.
    """
    import tomli_w

    settings = config.to_settings()
    order = dict.fromkeys(["corpus", "from", "extend_vocabulary", "preset", *settings])
    asked = {name: config.asked[name] for name in order if name in config.asked}
    derived = {name: value for name, value in settings.items() if asked.get(name) != value}
    text = ASKED_COMMENT + tomli_w.dumps(asked) + DERIVED_COMMENT + tomli_w.dumps({DERIVED: derived})
    try:
        text.encode("utf-8")
    except UnicodeEncodeError as error:
        raise ConfigError("a path of the corpus is not UTF-8; rename it") from error
    return text


def _run_config(asked: dict[str, Any], path: Path) -> RunConfig:
    derived = asked.pop(DERIVED, {})
    if not isinstance(derived, dict):
        raise _no_table(path)
    settings = {**WITHOUT, **asked, **derived}
    if settings.pop("preset", None) is not None and not derived:
        raise ConfigError(f"{path}: the table {DERIVED} is missing, which says what the preset stood for")
    return RunConfig.from_settings(settings, str(path), asked)


def _no_table(path: Path) -> ConfigError:
    return ConfigError(f"{path}: {DERIVED} has to be a table: it holds the settings that nobody asked for")


def _read(path: Path) -> dict[str, Any]:
    try:
        return tomllib.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError, RecursionError) as error:
        raise ConfigError(f"cannot read the settings in {path}: {error}") from error
