"""Settings that go well together, by name: `lmgen train --preset quick`."""

from collections.abc import Collection, Mapping
from dataclasses import fields
from typing import Any

from lmgen.errors import ConfigError
from lmgen.models.network.config import REGULARIZATION, NetworkConfig
from lmgen.settings import shown
from lmgen.training.config import BUDGET

AWD_LSTM = {
    "tokenizer": "word",
    "layers": 3,
    "hidden_size": 1150,
    "last_hidden_size": 400,
    "embedding_size": 400,
    "tied": True,
    "variational": True,
    "dropout_input": 0.65,
    "dropout_hidden": 0.2,
    "dropout_output": 0.4,
    "dropout_embedding": 0.1,
    "weight_drop": 0.5,
    "activation_penalty": 2.0,
    "slowness_penalty": 1.0,
    "window_length": 70,
    "vary_window_length": True,
    "batch_size": 80,
    "optimizer": "sgd",
    "learning_rate": 30.0,
    "schedule": "constant",
    "warmup": 0.0,
    "clip": 0.25,
    "weight_decay": 1.2e-6,
    "nt_asgd": 5,
    "epochs": 750.0,
    "evaluations": 750,
}
"""The published recipe for WikiText-2 (Merity, Keskar and Socher 2017); for a GPU and a day."""

AUTO = "auto"
"""The preset that chooses sizes for a given time (sizes.py)."""

PRESETS: Mapping[str, Mapping[str, Any]] = {
    AUTO: {},
    "quick": {"minutes": 1.0},
    "good": {"minutes": 4.0, "hidden_size": 384, "dropout": 0.2},
    "best": {
        "minutes": 15.0,
        "hidden_size": 512,
        "variational": True,
        "dropout_input": 0.1,
        "dropout_output": 0.4,
    },
    "awd-lstm": AWD_LSTM,
}
"""
Those named by a time have it in `minutes`. Their sizes here are for a run that ends after a number of updates
or epochs; where it ends after a time, sizes are chosen for that (sizes.py), whatever the preset is called.
"""

LARGE_VOCABULARY = {
    "output": "adaptive",
    "optimizer": "adamw-adagrad",
    "embedding_size": 256,
    "window_length": 35,
    "batch_size": 32,
}
WORD_PRESETS: Mapping[str, Mapping[str, Any]] = {
    AUTO: {**LARGE_VOCABULARY, "dropout": 0.2},
    "quick": {**LARGE_VOCABULARY, "dropout": 0.2},
    "good": {**LARGE_VOCABULARY, "hidden_size": 400, "dropout": 0.4},
    "best": {
        **LARGE_VOCABULARY,
        "hidden_size": 512,
        "dropout": 0.5,
        "dropout_input": 0.4,
        "dropout_embedding": 0.1,
    },
}
"""The network and optimiser of these presets with `--tokenizer word`: benchmarks/results/words.md."""


KIND = {
    *(
        {field.name for field in fields(NetworkConfig)}
        - {"cell", "ngram_embedding", "ngram_rows", "dropout_ngrams"}
    ),
    *("objective", "optimizer", "learning_rate", "batch_size", "window_length", "state", "embeddings"),
    *("labels", "answers_after", "from"),
}
"""Settings of a kind of network that the rule for sizes does not know."""


def with_implied_preset(asked: Mapping[str, Any]) -> dict[str, Any]:
    """What was asked for, with the preset `auto` where a time is given but no preset or kind of network."""
    implied = asked.get("minutes") is not None and asked.keys().isdisjoint(KIND)
    return {**({"preset": AUTO} if implied else {}), **asked}


def to_be_fitted(preset: object, chosen: Mapping[str, Any], asked: Collection[str]) -> bool:
    """
    Whether sizes are to be chosen for the time there is (sizes.py).

    Args:
        preset: its name, or None.
        chosen: the settings of the run.
        asked: the names of those that the user gave.

    Raises:
        ConfigError: the preset is `auto`, and there is no time, or no language model, to choose for.
    """
    if preset == AUTO:
        _check_auto(chosen)
    of_a_time = preset not in (None, "awd-lstm") and chosen.get("minutes") is not None
    if not of_a_time or chosen.get("labels") or chosen.get("from") is not None:
        return False
    return not (set(asked) >= {"layers", "hidden_size"} and set(asked) & set(REGULARIZATION))


def _check_auto(chosen: Mapping[str, Any]) -> None:
    """Refuse to choose where there is nothing to choose."""
    problem = None
    if chosen.get("from") is not None:
        problem = "--from has the sizes of its model"
    elif chosen.get("labels"):
        problem = "it is for language models, and --labels predicts labels"
    elif chosen.get("minutes") is None:
        raise ConfigError(
            "--preset auto chooses sizes for the time there is: give --minutes, or another --preset"
        )
    if problem:
        raise ConfigError(f"--preset auto chooses sizes, but {problem}: leave --preset auto out")


def preset_settings(given: Mapping[str, Any], tokenizer: str | None, where: str) -> dict[str, Any]:
    """
    The settings that the preset in `given` stands for; none if there is no preset.

    A preset of `WORD_PRESETS` has that entry's settings where the tokenizer is `word`, for as many minutes.
    Where `given` has a budget of its own (epochs, steps or minutes), the preset's is left out.

    Raises:
        ConfigError: there is no such preset; the message lists those there are.
    """
    name = given.get("preset")
    if name is None:
        return {}
    if not isinstance(name, str) or name not in PRESETS:
        raise ConfigError(f"{where}: there is no preset {shown(name)}; known are {', '.join(PRESETS)}")
    preset = dict(PRESETS[name])
    if tokenizer == "word" and name in WORD_PRESETS:
        preset = {**WORD_PRESETS[name], **{key: preset[key] for key in BUDGET if key in preset}}
        if given.get("labels"):  # which are few
            del preset["output"]
    if not given.keys().isdisjoint(BUDGET):
        preset = {setting: value for setting, value in preset.items() if setting not in BUDGET}
    return preset
