"""Packages that only some commands need, installed on request: `pip install "lmgen[vectors]"`."""

from importlib import import_module
from types import ModuleType

from lmgen.errors import MissingExtraError

PACKAGES = {"sklearn": "scikit-learn"}
"""Packages that are installed by another name than they are imported by."""


def needed(module: str, extra: str) -> ModuleType:
    """
    Import a module of a package that may be missing.

    Args:
        module: such as `gensim.models.word2vec`.
        extra: what installs its package, for the message.

    Raises:
        MissingExtraError: the package is not installed.
    """
    try:
        return import_module(module)
    except ModuleNotFoundError as error:
        package = module.split(".")[0]
        if error.name != package:  # a part of it, or something that it needs itself
            raise
        raise MissingExtraError(
            f"this needs {PACKAGES.get(package, package)}, which is not installed; get it with "
            f'pip install "lmgen[{extra}]"'
        ) from error
