"""
An HTTP server for language models, with OpenAI's API for completions: what `lmgen serve` runs.

    from lmgen.serving import serve

    serve("checkpoints/book", port=8000)

- engine.py, jobs.py: completions of many clients side by side; no HTTP
- requests.py, answers.py, errors.py: JSON as OpenAI's clients send and read it
- served.py: models by their names
- guard.py, app.py, page.html: the application; server.py: the address it is at

What needs starlette and uvicorn is imported when a function is called.
"""

import os
import sys
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

from lmgen.calls import python_call
from lmgen.errors import ConfigError
from lmgen.extras import needed
from lmgen.serving.config import KEY_VARIABLE, ServingConfig
from lmgen.settings import names_of, refuse_unknown

if TYPE_CHECKING:
    from lmgen.serving.guard import Guard
    from lmgen.text_model import TextModel

__all__ = ["application", "serve"]


def _complain(bug: Exception) -> None:
    sys.stderr.write(f"a bug in lmgen: {type(bug).__name__}: {bug}\n")


@python_call
def serve(
    *models: "str | Path | TextModel",
    mix: bool = False,
    on_ready: Callable[[str], None] = lambda _: None,
    on_bug: Callable[[Exception], None] = _complain,
    **settings: Any,
) -> None:
    """
    Serve models over HTTP until Ctrl-C or SIGTERM, which let requests under way finish.

    Args:
        models: run folders, model files or opened models; none: the newest.
        mix: mix each with the n-gram baseline of its run.
        on_ready: called with the address as soon as it answers.
        on_bug: called with an exception that no answer was foreseen for.
        settings: `host`, `port`, `api_key` (None: that of LMGEN_API_KEY in the environment), `max_length`,
            `max_prompt`, `max_waiting`, as in serving/config.py.

    Raises:
        ConfigError: a setting is unknown or out of range; no client could send the key; other machines reach
            the host and there is no key; two models have the same name; or one learns from what it reads.
        LmgenError: the address cannot be listened on.
        MissingExtraError: starlette or uvicorn is not installed.
        ModelError: there is no such model, or it is damaged.
    """
    config = _config(settings)
    _need_packages()
    from lmgen.serving.server import listen_and_serve

    listen_and_serve(_opened(models, mix=mix), config, on_ready=on_ready, on_bug=on_bug)


@python_call
def application(
    *models: "str | Path | TextModel",
    mix: bool = False,
    on_bug: Callable[[Exception], None] = _complain,
    **settings: Any,
) -> "Guard":
    """
    The ASGI application that `serve` runs, for another server to run: `uvicorn.run(application("book"))`.

    Args:
        models: as in `serve`.
        mix: as in `serve`.
        on_bug: as in `serve`.
        settings: as in `serve`; `host` is a name that clients may call the server by beside localhost. With a
            key, they may call it by any name.

    Raises:
        ConfigError: as in `serve`.
        MissingExtraError: as in `serve`.
        ModelError: as in `serve`.
    """
    config = _config(settings)
    _need_packages()
    from lmgen.serving.app import make_app

    return make_app(_opened(models, mix=mix), config, is_local=config.api_key is None, on_bug=on_bug)


def _config(settings: dict[str, Any]) -> ServingConfig:
    known = names_of(ServingConfig)
    refuse_unknown(
        settings, known, "", f"known are {', '.join(sorted(known))}", ("mix", "on_ready", "on_bug")
    )
    key = settings.get("api_key")
    key = os.environ.get(KEY_VARIABLE) if key is None else key
    if key == "":
        raise ConfigError(f"the key is empty; give --api-key or {KEY_VARIABLE} at least one character")
    if key is not None and (not key.isascii() or not key.isprintable() or " " in key):
        raise ConfigError(
            "the key has to be of ASCII letters, digits and signs without blanks, which clients can send; "
            f"choose another --api-key or {KEY_VARIABLE}"
        )
    return ServingConfig(**{**settings, "api_key": key})


def _need_packages() -> None:
    for package in ("starlette", "uvicorn"):
        needed(package, "serve")


def _opened(models: "tuple[str | Path | TextModel, ...]", *, mix: bool) -> "list[TextModel]":
    from lmgen.text_model import TextModel

    opened = [
        TextModel.load(each) if isinstance(each, str | Path) else each
        for each in (models or (TextModel.load(),))
    ]
    for each in opened:
        if each.model.reads_in_order:
            raise ConfigError(
                f"{each!r} learns from what it reads, and would learn from one client for another: serve it "
                "without adapting()"
            )
    return [each.mixed() for each in opened] if mix else opened
