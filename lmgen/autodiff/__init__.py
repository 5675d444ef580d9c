"""
Gradients of a cell's equations through a window of steps. numpy only.

- formulas.py: equations as formulas, and the formulas of their gradients
- programs.py: formulas computed by numpy, in memory that is set aside once
- cell_programs.py: the programs of a cell: a step forward, and a step back
"""
