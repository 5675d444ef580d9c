"""
Layers over a window, in torch: the fast ways beside what each layer says of itself.

- fastest.py: which way is the fastest for a layer
- attention.py: the contexts of attention
- fused.py: cells that torch has kernels for
- traced.py: any cell on a CPU, by the programs of autodiff/; products.py: its matrix products
"""

from lmgen.training.layers.fastest import run_recurrent, run_window

__all__ = ["run_recurrent", "run_window"]
