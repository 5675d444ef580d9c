"""
Tasks: corpora made by program, an instance a line, whose best possible score is known.

- task.py: what a task is: parameters, instances, best score
- arithmetic.py: addition, and the adding problem
- sequences.py: copy, and rows of numbers moved on by one
- counting.py: the languages of equal numbers of letters
- reber.py: the Reber grammar, embedded and continual
- temporal_order.py: the order of symbols far apart
- sine.py: a sine wave in bins
- languages.py: a Markov chain and a grammar of known entropy
- held_out.py: instances of a test file that are not in the training file
"""

from lmgen.text.tasks.arithmetic import Adding, Addition
from lmgen.text.tasks.counting import AnBn, AnBnCn
from lmgen.text.tasks.languages import Grammar, Markov
from lmgen.text.tasks.reber import ContinualReber, EmbeddedReber, Reber
from lmgen.text.tasks.sequences import Copy, SequenceShift
from lmgen.text.tasks.sine import Sine
from lmgen.text.tasks.task import Task
from lmgen.text.tasks.temporal_order import TemporalOrder

_ALL: tuple[type[Task], ...] = (
    Addition,
    Copy,
    SequenceShift,
    Sine,
    AnBn,
    AnBnCn,
    Reber,
    EmbeddedReber,
    ContinualReber,
    TemporalOrder,
    Adding,
    Markov,
    Grammar,
)

TASKS = {task.name: task for task in _ALL}
"""The tasks by name."""
