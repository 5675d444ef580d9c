"""
n-gram models of texts beyond memory: the same figures as kneser_ney.py, from columns of numbers on disk.

- columns.py: numbers in files without names; ranges.py: numbers by ranges of rows, and back in their order
- counting.py: the n-grams of a text; estimate.py: their probabilities
"""
