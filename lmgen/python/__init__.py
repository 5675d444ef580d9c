"""
What programs call as `lmgen.train`, `lmgen.load` and so on, a file for each kind of work.

The package lmgen imports a file of this folder when one of its functions is first asked for.
"""
