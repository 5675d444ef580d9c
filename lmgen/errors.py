"""
The errors that a user can mend. Anything else that is raised is a bug and keeps its traceback.

    LmgenError            the message is all a user sees: what, where, what to do
    ├── ConfigError       a setting is out of range, unknown, or contradicts another one (exit code 2)
    ├── CorpusError       a text is missing, empty, too short or not what its name says
    ├── ModelError        a model or run is missing, damaged, of another kind, or would be overwritten
    ├── NumericalError    a loss or a weight is no longer a finite number
    └── WriteError        a file cannot be written: no space, no permission
"""


class LmgenError(Exception):
    """A failure that the user can act on; its text is the whole message."""

    exit_code = 1


class ConfigError(LmgenError):
    """Settings that cannot be used; the message lists every problem at once."""

    exit_code = 2


class CorpusError(LmgenError):
    """A text cannot be read, or there is too little of it."""


class ModelError(LmgenError):
    """A model or a run folder cannot be read, written or used for this."""


class NumericalError(LmgenError):
    """A number that has to be finite is not."""


class WriteError(LmgenError):
    """A file cannot be written; what was there before is as it was."""
