"""Packages that only some commands need."""

import tomllib
from pathlib import Path

import pytest

from lmgen.errors import MissingExtraError
from lmgen.extras import PACKAGES, needed


def test_a_module_of_a_package_is_imported() -> None:
    assert needed("json.decoder", "vectors").JSONDecoder


def test_a_missing_package_is_an_error_that_says_how_to_install_it(monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(MissingExtraError) as raised:
        needed("no_such_package.module", "vectors")
    assert str(raised.value) == (
        'this needs no_such_package, which is not installed; get it with pip install "lmgen[vectors]"'
    )
    monkeypatch.setitem(PACKAGES, "no_such_package", "no-such")
    with pytest.raises(MissingExtraError, match="this needs no-such, which is not installed"):
        needed("no_such_package", "vectors")


def test_a_package_that_is_there_but_broken_keeps_its_traceback() -> None:
    with pytest.raises(ModuleNotFoundError, match="no_such_module"):
        needed("json.no_such_module", "vectors").x  # noqa: B018


def test_the_extra_all_is_every_extra_of_users() -> None:
    project = tomllib.loads((Path(__file__).parents[1] / "pyproject.toml").read_text())["project"]
    extras = project["optional-dependencies"]
    [everything] = extras["all"]

    assert everything.startswith("lmgen[")
    assert set(everything.removeprefix("lmgen[").removesuffix("]").split(",")) == extras.keys() - {
        "all",
        "dev",
    }
