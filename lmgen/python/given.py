"""Arguments of several functions: settings by the names of their flags, and texts of the program."""

from os import PathLike, fspath
from typing import Any

from lmgen.runs.config import setting_names, with_state
from lmgen.settings import of_python, refuse_unknown
from lmgen.text.given import opened, placeholder, texts_of
from lmgen.text.sources import Text

ARGUMENTS = frozenset(
    {
        "texts",
        "out",
        "overwrite",
        "from_model",
        "on_event",
        "should_stop",
        "on_note",
        "config",
        "order",
        "prune",
        "keep_tokens",
    }
    | {"stateful", "stateless"}
)
"""Arguments of the functions of this package that are no settings of a run, in case one is misspelt."""


def given_settings(
    corpus: tuple[Any, ...],
    texts: Any,
    settings: dict[str, Any],
    from_model: str | PathLike[str] | None = None,
) -> tuple[dict[str, Any], dict[str, Text]]:
    """
    Sort arguments into settings, by the names of the flags, and texts, by the names that stand for them.

    Raises:
        ConfigError, CorpusError: a setting is unknown; a text is something else, or empty.
    """
    known = (setting_names() | ARGUMENTS) - {"from"}  # from_model, as `from` is a word of Python's own
    refuse_unknown(settings, known, "", "see `lmgen train --help`")
    given = {
        name: fspath(value) if isinstance(value, PathLike) else of_python(value)
        for name, value in with_state(settings).items()
    }
    if from_model is not None:
        given["from"] = fspath(from_model)
    by_name = given.pop("corpus", ())
    corpus = (*corpus, *(by_name if isinstance(by_name, list | tuple) else [by_name]))
    kept: dict[str, Text] = {}
    if names := named(corpus, texts, kept):
        given["corpus"] = names
    for part in {"valid", "test"} & given.keys():
        value = of_python(settings[part])
        if value is None or type(value) in (int, float):
            continue
        if isinstance(value, str | bytes | PathLike) or not hasattr(value, "__iter__"):
            given[part] = _name(opened(value, part), kept)
        else:
            given[part] = _name(texts_of(value, part), kept)
    return given, kept


def named(corpus: tuple[Any, ...], texts: Any, kept: dict[str, Text]) -> list[str]:
    """
    Names of files and corpora, and of texts that were given, which are added to `kept` by their names.

    Raises:
        ConfigError, CorpusError: a text is something else, or empty.
    """
    names = [_name(opened(text, "the corpus"), kept) for text in corpus]
    if texts is not None:
        names.append(_name(texts_of(texts, "texts"), kept))
    return names


def _name(text: Text | str, kept: dict[str, Text]) -> str:
    """A name as it is; a text is added to `kept` by the name that this returns."""
    if isinstance(text, str):
        return text
    name = placeholder(len(kept) + 1)
    kept[name] = text
    return name


def ignore(_note: str) -> None:
    """Default callback for notes: discard them."""
