"""Settings that go well together, by name: `lmgen train --preset quick`."""

from collections.abc import Mapping
from typing import Any

from lmgen.errors import ConfigError
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

PRESETS: Mapping[str, Mapping[str, Any]] = {
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
"""`quick` is a minute of the defaults. What was tried, and what it gave: benchmarks/results/presets.md."""

LARGE_VOCABULARY = {
    "output": "adaptive",
    "optimizer": "adamw-adagrad",
    "embedding_size": 256,
    "window_length": 35,
    "batch_size": 32,
}
WORD_PRESETS: Mapping[str, Mapping[str, Any]] = {
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
        preset = {**WORD_PRESETS[name], "minutes": preset["minutes"]}
    if not given.keys().isdisjoint(BUDGET):
        preset = {setting: value for setting, value in preset.items() if setting not in BUDGET}
    return preset
