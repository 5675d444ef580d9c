"""What is installed from a wheel works outside the source tree: recipes and all are inside."""

import re
import subprocess
import sys
import tomllib
import zipfile
from pathlib import Path

import pytest

pytestmark = pytest.mark.slow

ROOT = Path(__file__).parents[1]


def test_the_lowest_versions_that_are_tested_are_those_that_are_allowed() -> None:
    """But for torch, of which no version is as easily had as the newest ones."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    allowed = dict(_version(needed, ">=") for needed in project["dependencies"])
    extras = project["optional-dependencies"]
    allowed |= dict(
        _version(needed, ">=")
        for extra in ("vectors", "compress", "report", "serve", "tensorboard")
        for needed in extras[extra]
    )
    dev = dict(_version(needed, ">=") for needed in extras["dev"])
    lines = (ROOT / "constraints-lowest.txt").read_text().splitlines()
    tested = dict(_version(line, "==") for line in lines if not line.startswith("#"))

    assert allowed.keys() <= tested.keys() <= allowed.keys() | dev.keys()
    assert {name: {**allowed, **dev}[name] for name in tested if name != "torch"} == {
        name: version for name, version in tested.items() if name != "torch"
    }


def _version(needed: str, relation: str) -> tuple[str, str]:
    """`numpy>=2.0` -> `("numpy", "2")`, as `numpy==2.0.0`."""
    name, version = needed.split(relation)
    return name, re.sub(r"(\.0)+$", "", version)


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A wheel built from the tree, with the build tools of this environment."""
    folder = tmp_path_factory.mktemp("wheel")
    build = [sys.executable, "-m", "build", "--wheel", "--no-isolation", "--outdir", str(folder), str(ROOT)]
    subprocess.run(build, check=True, capture_output=True)
    [wheel] = folder.glob("*.whl")
    return wheel


def test_the_wheel_holds_every_module_and_recipe_and_nothing_else(wheel: Path) -> None:
    names = {name for name in zipfile.ZipFile(wheel).namelist() if ".dist-info/" not in name}
    modules = {str(path.relative_to(ROOT)) for path in (ROOT / "lmgen").rglob("*.py")}
    recipes = {f"lmgen/corpora/{path.name}" for path in (ROOT / "corpora").glob("*.toml")}

    pages = {f"lmgen/report/page.{ending}" for ending in ("html", "css", "js")} | {"lmgen/serving/page.html"}
    assert names == modules | recipes | pages | {"lmgen/py.typed"}


def test_the_installed_command_runs_outside_the_tree(wheel: Path, tmp_path: Path) -> None:
    """In an environment of its own that borrows only the dependencies of this one."""
    environment = tmp_path / "venv"
    subprocess.run([sys.executable, "-m", "venv", "--without-pip", str(environment)], check=True)
    [packages] = environment.glob("lib/python*/site-packages")
    zipfile.ZipFile(wheel).extractall(packages)
    borrowed = next(path for path in map(Path, sys.path) if path.name == "site-packages")
    (packages / "dependencies.pth").write_text(f"{borrowed}\n")
    script = (
        "import lmgen, sys; from lmgen.cli.app import main\n"
        f"assert lmgen.__file__.startswith({str(environment)!r}), lmgen.__file__\n"
        "main()"
    )

    def lmgen(*arguments: str) -> str:
        command = [str(environment / "bin" / "python"), "-c", script, *arguments]
        result = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=False)
        assert result.returncode == 0, result.stderr
        return result.stdout

    assert "wikitext-2" in lmgen("corpus", "list")
    lmgen(
        "train",
        "unicode-names",
        *["--steps", "3", "--hidden-size", "8", "--threads", "1", "--baseline-order", "1", "--quiet"],
    )
    assert len(lmgen("sample", "--length", "7", "--quiet")) == 7
