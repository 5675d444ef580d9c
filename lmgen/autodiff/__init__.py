"""
Gradients of a cell's equations through a window of steps. numpy only.
"""

from lmgen.autodiff.cell_programs import CellPrograms, programs_of
from lmgen.autodiff.window import BackwardPass, Window, multiplier

__all__ = ["BackwardPass", "CellPrograms", "Window", "multiplier", "programs_of"]
