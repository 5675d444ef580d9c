"""A run's settings: from flags, a preset, a model to go on from or a TOML file, and into one. No torch."""

import tomllib
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from lmgen.errors import ConfigError
from lmgen.runs.config import RunConfig
from lmgen.runs.presets import with_preset


def configured(settings: Mapping[str, Any], where: str) -> RunConfig:
    """
    The configuration of a new run, from flat settings by the names of the flags.

    Raises:
        ConfigError: a name is unknown or a value is wrong; `where` says where it was read.
        ModelError: the model that the run is to start from cannot be used.
    """
    from lmgen.runs.finetuning import with_origin

    return RunConfig.from_settings(with_preset(with_origin(settings, where), where), where)


def read_config(path: Path) -> dict[str, Any]:
    """
    Settings from a TOML file, by the names of the flags.

    Raises:
        ConfigError: the file is missing or is not TOML.
    """
    try:
        return tomllib.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError, RecursionError) as error:
        raise ConfigError(f"cannot read the settings in {path}: {error}") from error


def as_toml(config: RunConfig) -> str:
    """
    What `config.toml` says.

    Raises:
        ConfigError: a path cannot be written down.
    """
    import tomli_w

    settings = tomli_w.dumps(config.to_settings())
    try:
        settings.encode("utf-8")
    except UnicodeEncodeError as error:
        raise ConfigError("a path of the corpus is not UTF-8; rename it") from error
    return settings
