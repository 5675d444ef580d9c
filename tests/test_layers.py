"""Data flows left to right through the folders, and imports do not: each folder sees those before it."""

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

PACKAGE = Path(__file__).parents[1] / "lmgen"

ORDER = [
    "errors",
    "interrupts",
    "extras",
    "arrays",
    "files",
    "settings",
    "memory",
    "processors",
    "forks",
    "calls",
    "text",
    "tokenizers",
    "data",
    "models",
    "autodiff",
    "evaluation",
    "generation",
    "inspection",
    "vectors",
    "compression",
    "text_model",
    "label_model",
    "training",
    "runs",
    "report",
    "python",
    "serving",
    "cli",
    "__main__",
]

SOURCES = sorted(path for path in PACKAGE.rglob("*.py") if path != PACKAGE / "__init__.py")


def room(path: Path) -> str:
    """The folder or module at the top of the package: lmgen/models/cells.py is in `models`."""
    return path.relative_to(PACKAGE).parts[0].removesuffix(".py")


def imports(path: Path) -> Iterator[str]:
    """Every module that a file imports, at its top or inside a function."""
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module:
            yield from (f"{node.module}.{alias.name}" for alias in node.names)


def test_every_room_has_its_place() -> None:
    assert {room(path) for path in SOURCES} == set(ORDER)


@pytest.mark.parametrize("path", SOURCES, ids=lambda path: str(path.relative_to(PACKAGE)))
def test_a_file_imports_only_what_lies_to_its_left(path: Path) -> None:
    place = ORDER.index(room(path))
    for module in imports(path):
        if module.startswith("lmgen."):
            assert ORDER.index(module.split(".")[1]) <= place, f"{path} imports {module}"


def test_only_training_imports_torch() -> None:
    importing = {room(path) for path in SOURCES if any(m.split(".")[0] == "torch" for m in imports(path))}

    assert importing == {"training"}


@pytest.mark.parametrize("folder", ["text", "vectors"])
def test_no_two_files_import_each_other(folder: str) -> None:
    """Not even inside functions or for annotations."""
    imported = {
        f"lmgen.{folder}.{path.stem}": {module.rpartition(".")[0] for module in imports(path)}
        for path in (PACKAGE / folder).glob("*.py")
    }

    assert not [
        (one, other)
        for one, others in imported.items()
        for other in others
        if one != other and one in imported.get(other, ())
    ]
