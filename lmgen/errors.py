"""
Errors that the user can fix. Any other exception is a bug and keeps its traceback.

    LmgenError            the user sees only its message: what went wrong, where, and what to do
    ├── ConfigError       a setting is unknown, out of range, or conflicts with another (exit code 2)
    ├── CorpusError       a text is missing, empty, too short or in an unexpected format
    │   └── CutOffError   reading it was cut off from outside: a process or a network share was lost
    ├── LostProcessError  one of several processes that work together has ended
    ├── MissingExtraError a package is not installed that only some commands need
    ├── ModelError        a model or run is missing, damaged, of the wrong kind, or would be overwritten
    ├── NumericalError    a loss, weight or probability is NaN or infinite
    └── WriteError        a file cannot be written: disk full, permission denied
"""

_NO_MEMORY = (
    "can't allocate memory",
    "not enough memory",
    "out of memory",
    "Storage size calculation overflowed",
)
"""What the messages of torch's errors say where there is not enough memory, on a CPU, Windows or a GPU."""


class LmgenError(Exception):
    """Base class of all errors that the user can fix; its text is the whole error message."""

    exit_code = 1
    """Exit code of the `lmgen` command."""

    at_the_shell: str | None = None
    """The message with flags in the place of arguments, if the text names arguments as Python does."""


class ConfigError(LmgenError):
    """Invalid settings; the message lists all problems at once."""

    exit_code = 2


class CorpusError(LmgenError):
    """A text cannot be read, or is too short."""


class CutOffError(CorpusError):
    """Reading a text ended for a reason that may pass: a process was ended, or a disk or share was lost."""


class LostProcessError(LmgenError):
    """Another of several processes that work together has ended, or cannot be reached."""


class ModelError(LmgenError):
    """A model or run folder cannot be read or written, or does not fit the request."""


class MissingExtraError(LmgenError):
    """A package is missing that only some commands need; the message has the command that installs it."""


class NumericalError(LmgenError):
    """A number that must be finite is NaN or infinite."""


class WriteError(LmgenError):
    """A file cannot be written; an existing file at that path is left unchanged."""


def lacks_memory(error: Exception) -> bool:
    """Whether an error says that there is not enough memory; torch's are RuntimeErrors."""
    if isinstance(error, RuntimeError):
        return any(said in str(error) for said in _NO_MEMORY)
    return isinstance(error, MemoryError)
