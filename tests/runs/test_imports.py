"""The room imports no torch on loading: it takes seconds, and not every call needs it."""

import sys
from pathlib import Path

from tests.process import run_command
from tests.test_layers import PACKAGE


def test_no_module_imports_torch_on_loading(tmp_path: Path) -> None:
    modules = [f"lmgen.runs.{path.stem}" for path in sorted((PACKAGE / "runs").glob("*.py"))]
    code = (
        "import importlib, sys\n"
        "for name in sys.argv[1:]:\n"
        "    importlib.import_module(name.removesuffix('.__init__'))\n"
        "    assert 'torch' not in sys.modules, name\n"
    )

    run_command([sys.executable, "-c", code, *modules], cwd=tmp_path, check=True)
