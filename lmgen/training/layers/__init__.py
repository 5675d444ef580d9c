"""
Layers over a window as torch computes them.

- fastest.py: which way is the fastest for a layer
- traced.py: any cell on a CPU, by the programs of autodiff/; products.py: its matrix products
"""
