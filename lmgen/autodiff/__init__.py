"""
Gradients of a cell's equations through a window of steps. numpy only.

A cell's step is called once with formulas in place of arrays (formulas.py). What is done to them is the
forward program; the chain rule gives the programs of the gradients (cell_programs.py). Those of the vanilla
recurrent network, h' = tanh(x + U h):

    >>> from lmgen.autodiff import CellPrograms, trace
    >>> from lmgen.models.network.cells import CELLS
    >>> print(CellPrograms(trace(CELLS["rnn"], hidden_size=3)))
    forward:
    r = weight_recurrent @ h
    a = x + r
    h' = tanh(a)
    factors:
    b = square(h')
    c = 1 - b
    backward:
    grad_r = grad_h' * c
    grad_h += weight_recurrent.T @ grad_r

The factors are what gradients are multiplied by, computed for many steps at once. `backward` starts from
grad_h', the gradient with respect to the state after a step, and leaves grad_h for the step before. The
gradient with respect to x is grad_r too, since the equations read no more than x + r. That with respect to U
is one product over the whole window, when all of grad_r is known.

A `Window` runs these programs over its steps (window.py), each formula by one call of numpy and in memory
that is set aside once (programs.py):

    >>> import numpy as np
    >>> from lmgen.autodiff import BackwardPass, Window, multiplier
    >>> x, h = np.zeros((2, 1, 1)), np.ones((1, 1))  # 2 steps of 1 stream and 1 unit
    >>> matrices = {"weight_recurrent": np.array([[0.5]])}
    >>> window = Window.begin(CellPrograms(trace(CELLS["rnn"], hidden_size=1)), x, [h], vectors=[])
    >>> window.run(multiplier(matrices))
    >>> window.states[0].ravel().round(4)  # h before the first step, and after each
    array([1.    , 0.4621, 0.227 ])
    >>> backward = BackwardPass(window, last=[np.ones((1, 1))])
    >>> backward.run(multiplier(matrices, transposed=True), hidden=None)
    >>> backward.state[0].round(4)  # the gradient of the last h with respect to the first
    array([[0.1865]])
    >>> backward.matrices()["weight_recurrent"].round(4)
    array([[0.8113]])
"""

from lmgen.autodiff.cell_programs import CellPrograms, Equations, programs_of, trace
from lmgen.autodiff.formulas import CannotTrace
from lmgen.autodiff.window import BackwardPass, Multiplier, Multiply, Window, multiplier

__all__ = [
    "BackwardPass",
    "CannotTrace",
    "CellPrograms",
    "Equations",
    "Multiplier",
    "Multiply",
    "Window",
    "multiplier",
    "programs_of",
    "trace",
]
