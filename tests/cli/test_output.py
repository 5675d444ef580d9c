"""How results are worded."""

import pytest

from lmgen.cli.output import counted


@pytest.mark.parametrize(
    ("number", "said"), [(0, "0 texts"), (1, "1 text"), (2, "2 texts"), (1200, "1,200 texts")]
)
def test_one_is_no_plural(number: int, said: str) -> None:
    assert counted(number, "text") == said
