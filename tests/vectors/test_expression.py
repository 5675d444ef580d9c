"""Sums and differences of words."""

import pytest

from lmgen.errors import ConfigError
from lmgen.vectors.expression import Term, parse


@pytest.mark.parametrize(
    ("expression", "terms"),
    [
        ("king", [("king", 1)]),
        ("king - man + woman", [("king", 1), ("man", -1), ("woman", 1)]),
        ("  well-known +\thalf-time ", [("well-known", 1), ("half-time", 1)]),
        ("-", [("-", 1)]),
        ("+ - -", [("+", 1), ("-", -1)]),
    ],
)
def test_operators_have_blanks_around_them(expression: str, terms: list[tuple[str, int]]) -> None:
    assert parse(expression) == [Term(*term) for term in terms]


@pytest.mark.parametrize(
    ("expression", "message"),
    [
        (" ", "the expression is empty"),
        ("king man", "'man' stands where"),
        ("king -man", "'-man' stands where"),
        ("king - man +", "a word is missing after the last"),
        ("- king", "'king' stands where"),
    ],
)
def test_what_is_no_expression_is_refused(expression: str, message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        parse(expression)
