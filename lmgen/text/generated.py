"""Corpora that lmgen makes itself, by name: tasks with their default parameters, and synthetic texts."""

from lmgen.text.synthetic import SYNTHETIC, SyntheticCorpus
from lmgen.text.tasks import TASKS
from lmgen.text.tasks.task import Task

GENERATED: dict[str, Task | SyntheticCorpus] = {
    **{name: task() for name, task in TASKS.items()},
    **SYNTHETIC,
}
"""Each has a name, a description, a best score, and a text that depends on a seed alone."""
