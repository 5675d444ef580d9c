"""Sums and differences of words: `king - man + woman`."""

from dataclasses import dataclass

from lmgen.errors import ConfigError
from lmgen.settings import shown


@dataclass(frozen=True, slots=True)
class Term:
    """A word that is added or taken away."""

    word: str
    sign: int
    """1 or -1."""


def parse(expression: str) -> list[Term]:
    """
    The words of an expression with their signs.

    Operators have blanks around them, so that `well-known` is one word: every second item is `+` or `-`, and
    any other may be any word, `+` among them.

    Raises:
        ConfigError: it is empty, or something else stands where an operator has to.
    """
    items = expression.split()
    if not items:
        raise ConfigError("the expression is empty; give a word, or words with + and - between them")
    for operator in items[1::2]:
        if operator not in ("+", "-"):
            raise ConfigError(
                f"{shown(operator)} stands where + or - has to, in {shown(expression)}; write a word, or "
                "words with + and - between them and blanks around these: king - man + woman"
            )
    if len(items) % 2 == 0:
        raise ConfigError(f"a word is missing after the last {items[-1]} of {shown(expression)}")
    signs = [1, *(1 if operator == "+" else -1 for operator in items[1::2])]
    return [Term(word, sign) for word, sign in zip(items[::2], signs, strict=True)]
