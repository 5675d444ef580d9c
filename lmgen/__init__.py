"""
Train character, word and sub-word language models, evaluate them, and complete text with them.

    import lmgen

    model = lmgen.train("book.txt", out="checkpoints/book", minutes=5)
    model = lmgen.load("checkpoints/book")
    print(model.sample("It was ", length=200, temperature=0.8))
    print(model.score("It was the best of times.").perplexity)

Texts are files, folders and named corpora, or texts of the program itself:

    lmgen.train("one fine day\n" * 20_000)       # a str with a line end in it is a text, any other a name
    lmgen.train(texts=["emma", "olivia", "ava"])  # many texts, from a list or an iterator

`import lmgen` is fast: what a function needs is imported when it is first asked for.
"""

from lmgen.errors import (
    ConfigError,
    CorpusError,
    LmgenError,
    MissingExtraError,
    ModelError,
    NumericalError,
    WriteError,
)

TYPE_CHECKING = False  # type checkers treat it as True; importing `typing` for it would be slow
if TYPE_CHECKING:
    from lmgen.python.archives import compress, decompress
    from lmgen.python.corpora import describe_task, get_corpus, list_corpora, make_corpus, read_corpus
    from lmgen.python.models import list_cells, load, load_labels
    from lmgen.python.ngrams import fit_ngram, read_arpa
    from lmgen.python.reports import write_report
    from lmgen.python.runs import (
        estimate_cost,
        find_learning_rate,
        list_runs,
        resume,
        resume_labels,
        train,
        train_labels,
    )
    from lmgen.python.vectors import load_vectors, train_vectors

__all__ = [
    "ConfigError",
    "CorpusError",
    "LmgenError",
    "MissingExtraError",
    "ModelError",
    "NumericalError",
    "WriteError",
    "compress",
    "decompress",
    "describe_task",
    "estimate_cost",
    "find_learning_rate",
    "fit_ngram",
    "get_corpus",
    "list_cells",
    "list_corpora",
    "list_runs",
    "load",
    "load_labels",
    "load_vectors",
    "make_corpus",
    "read_arpa",
    "read_corpus",
    "resume",
    "resume_labels",
    "train",
    "train_labels",
    "train_vectors",
    "write_report",
]

_FUNCTIONS = {
    "lmgen.python.archives": ("compress", "decompress"),
    "lmgen.python.corpora": ("list_corpora", "read_corpus", "get_corpus", "make_corpus", "describe_task"),
    "lmgen.python.models": ("load", "load_labels", "list_cells"),
    "lmgen.python.ngrams": ("fit_ngram", "read_arpa"),
    "lmgen.python.reports": ("write_report",),
    "lmgen.python.runs": (
        "train",
        "resume",
        "train_labels",
        "resume_labels",
        "estimate_cost",
        "find_learning_rate",
        "list_runs",
    ),
    "lmgen.python.vectors": ("train_vectors", "load_vectors"),
}
"""The functions of the package, by the module that is imported when one is asked for."""


def __getattr__(name: str) -> object:
    """A function of the package, which is imported now."""
    for module, functions in _FUNCTIONS.items():
        if name in functions:
            from importlib import import_module

            function = globals()[name] = getattr(import_module(module), name)
            return function
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}", name=name)


def __dir__() -> list[str]:
    """The names of the package, those not yet imported as well."""
    return sorted({*globals(), *__all__})
