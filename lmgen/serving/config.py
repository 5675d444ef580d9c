"""The settings of the server. The command line builds its flags from them, so this imports nothing heavy."""

from dataclasses import dataclass
from typing import ClassVar

from lmgen.settings import Panel, check, setting

KEY_VARIABLE = "LMGEN_API_KEY"
"""The environment variable with the key; one in a command is seen in the list of processes."""

PATIENCE = 10.0
"""Seconds that a client who began to send a body, or to take an answer, may rest before it is given up."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ServingConfig:
    """Where to listen, who may ask, and how much of it."""

    PANEL: ClassVar[Panel] = Panel.MACHINE

    host: str = setting(
        "127.0.0.1",
        "The address to listen on; one that other machines reach needs a key.",
        daily=True,
        metavar="ADDRESS",
    )
    port: int = setting(8000, "The port; 0 takes a free one.", minimum=0, maximum=65535, daily=True)
    api_key: str | None = setting(
        None,
        f"Answer only to clients with this key. {KEY_VARIABLE} in the environment sets it unseen.",
        by_default="none",
        daily=True,
        metavar="KEY",
    )
    max_length: int = setting(
        4096, "The most tokens of a completion.", minimum=1, maximum=1_000_000, daily=True
    )
    max_prompt: int = setting(
        16384, "The most tokens of the prompts of one request.", minimum=1, maximum=1_000_000, daily=True
    )
    max_waiting: int = setting(
        256,
        "The most completions that may wait while 64 are written.",
        minimum=0,
        maximum=100_000,
        daily=True,
    )

    def __post_init__(self) -> None:
        check(self)
