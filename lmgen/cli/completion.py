"""
Shell completion for MODEL and corpus names; typer completes everything else.

If a function returns nothing, the shell completes file names itself, which it does better. So return nothing
where only files are valid.
"""

from collections.abc import Iterable
from pathlib import Path


def models(incomplete: str) -> list[str]:
    """Runs under checkpoints/, and other run folders and model files that match the typed prefix."""
    from lmgen.data.run_folder import CHECKPOINTS, MODEL_SUFFIX, RunFolder

    runs = _with_prefix(map(str, CHECKPOINTS.glob("*")), incomplete)
    paths = sorted({*runs, *_paths(incomplete)})
    return [path for path in paths if path.endswith(MODEL_SUFFIX) or RunFolder(Path(path)).model.exists()]


def corpora(incomplete: str) -> list[str]:
    """Names of all corpora that match the typed prefix."""
    from lmgen.text.built_in import BUILT_IN
    from lmgen.text.generated import GENERATED
    from lmgen.text.recipes import load_recipes

    return _with_prefix([*BUILT_IN, *GENERATED, *load_recipes()], incomplete)


def generated_corpora(incomplete: str) -> list[str]:
    """Names of corpora that `lmgen corpus make` can generate."""
    from lmgen.text.generated import GENERATED

    return _with_prefix(GENERATED, incomplete)


def corpora_and_files(incomplete: str) -> list[str]:
    """Corpus names and paths that match the typed prefix; nothing if no corpus name matches."""
    names = corpora(incomplete)
    files = [path + "/" if Path(path).is_dir() else path for path in _paths(incomplete)]
    return [*names, *files] if names else []


def _with_prefix(names: Iterable[str], incomplete: str) -> list[str]:
    return [name for name in names if name.startswith(incomplete)]


def _paths(incomplete: str) -> list[str]:
    """Paths that match the typed prefix, with its `./` or `../` preserved."""
    folder = incomplete[: incomplete.rfind("/") + 1]
    paths = (folder + path.name for path in Path(folder).glob("*") if not path.name.startswith("."))
    return sorted(_with_prefix(paths, incomplete))
