"""Limits of n-gram models. Imports nothing heavy: the command line reads its flags here."""

HIGHEST_ORDER = 100
"""A higher order is taken for a slip: each costs memory and time, and n-grams that long never recur."""
