"""
Recurrent layers over a window, in torch.

- fastest.py: which way is the fastest for a layer
- fused.py: cells that torch has kernels for
- traced.py: any cell on a CPU, by the programs of autodiff/; products.py: its matrix products
- equations.py: any cell anywhere, by autograd
"""

from lmgen.training.layers.fastest import run_recurrent

__all__ = ["run_recurrent"]
