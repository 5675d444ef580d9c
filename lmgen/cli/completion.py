"""
What the shell offers after Tab for MODEL and for names of corpora. The rest typer knows from the flags.

Where nothing is offered the shell completes file names, which it does better: so nothing is the right answer
wherever only files fit.
"""

from collections.abc import Iterable
from pathlib import Path


def models(incomplete: str) -> list[str]:
    """The runs under checkpoints/, and run folders and model files that begin with what has been typed."""
    from lmgen.data.run_folder import CHECKPOINTS, MODEL_SUFFIX, RunFolder

    runs = _beginning(map(str, CHECKPOINTS.glob("*")), incomplete)
    paths = sorted({*runs, *_paths(incomplete)})
    return [path for path in paths if path.endswith(MODEL_SUFFIX) or RunFolder(Path(path)).model.exists()]


def corpora(incomplete: str) -> list[str]:
    """Names of corpora."""
    from lmgen.text.built_in import BUILT_IN
    from lmgen.text.recipes import load_recipes
    from lmgen.text.synthetic import SYNTHETIC

    return _beginning([*BUILT_IN, *SYNTHETIC, *load_recipes()], incomplete)


def synthetic_corpora(incomplete: str) -> list[str]:
    """Names of corpora that `lmgen corpus make` can make."""
    from lmgen.text.synthetic import SYNTHETIC

    return _beginning(SYNTHETIC, incomplete)


def corpora_and_files(incomplete: str) -> list[str]:
    """Names of corpora and, beside them, files and folders."""
    names = corpora(incomplete)
    files = [path + "/" if Path(path).is_dir() else path for path in _paths(incomplete)]
    return [*names, *files] if names else []


def _beginning(names: Iterable[str], incomplete: str) -> list[str]:
    return [name for name in names if name.startswith(incomplete)]


def _paths(incomplete: str) -> list[str]:
    """The paths that begin so, spelled as far as it goes like what has been typed (`./`, `../`)."""
    folder = incomplete[: incomplete.rfind("/") + 1]
    paths = (folder + path.name for path in Path(folder).glob("*") if not path.name.startswith("."))
    return sorted(_beginning(paths, incomplete))
