"""
The pairs of words that word vectors are trained on.

    the  quick  brown  fox          window 1: (the, quick), (quick, the), (quick, brown), ...

Skip-gram predicts each word of a window from its centre, one pair at a time. CBOW predicts the centre from
the mean vector of all words of the window at once.
"""

from collections.abc import Iterator, Sequence

PAIR_SETTINGS = ("method", "window", "lowercase", "split_punctuation")
"""The settings of training that say which pairs a sentence gives."""


def skip_gram_pairs(words: Sequence[str], window: int) -> Iterator[tuple[str, str]]:
    """
    Each word with each word up to `window` places before and after it: (centre, context).

    `["a", "b", "c"]` with window 1 -> (a, b), (b, a), (b, c), (c, b).
    """
    for centre, around in cbow_pairs(words, window):
        yield from ((centre, word) for word in around)


def cbow_pairs(words: Sequence[str], window: int) -> Iterator[tuple[str, tuple[str, ...]]]:
    """
    Each word with all words up to `window` places before and after it together: (centre, contexts).

    `["a", "b", "c"]` with window 1 -> (a, (b,)), (b, (a, c)), (c, (b,)).
    """
    for place, centre in enumerate(words):
        around = (*words[max(place - window, 0) : place], *words[place + 1 : place + 1 + window])
        if around:
            yield centre, around
