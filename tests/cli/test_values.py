"""Values from the command line mean what they mean to typer."""

from pathlib import Path
from typing import Annotated, Any, Literal

import pytest
import typer
from hypothesis import given, settings
from hypothesis import strategies as st
from typer.core import TyperArgument, TyperOption
from typer.testing import CliRunner

from lmgen.cli.values import _Conversion, convert_plain_values, plain
from tests.process import lmgen

NUMBERS = st.one_of(
    st.integers().map(str),
    st.floats().map(str),
    st.from_regex(r"[ +-]?[0-9_]{1,4}(\.[0-9]*)?(e-?[0-9])?[ ]?", fullmatch=True),
    st.text(st.characters(codec="ascii"), max_size=4),
)


@settings(deadline=None)  # the first call imports pydantic
@given(NUMBERS)
@pytest.mark.parametrize("kind", [int, float])
def test_a_number_is_the_one_that_typer_takes_it_for(kind: type, text: str) -> None:
    """What either refuses does not matter: `0_0 ` is a number to Python and none to pydantic."""
    pydantic = pytest.importorskip("pydantic", reason="this typer validates by itself")
    try:
        expected = pydantic.TypeAdapter(kind).validate_python(text)
        assert repr(plain(kind, text)) == repr(expected)
    except ValueError:
        pass


@pytest.mark.parametrize(
    ("annotation", "value", "expected"),
    [
        (str, "a b", "a b"),
        (Path, "a/b", Path("a/b")),
        (int, 3, 3),
        (float, "0.5", 0.5),
        (Literal["lstm", "gru"], "gru", "gru"),
        (list[str], ("a", "b"), ["a", "b"]),
        (list[int], ("1", "2"), [1, 2]),
        (list[str], (), []),
    ],
)
def test_plain_values(annotation: Any, value: Any, expected: Any) -> None:
    assert plain(annotation, value) == expected


@pytest.mark.parametrize(
    ("annotation", "value"),
    [(int, "x"), (int, "0"), (float, "10"), (float, "nan"), (Literal["lstm"], "LSTM"), (bool, "yes")],
)
def test_what_is_not_plain_is_left_to_typer(annotation: Any, value: str) -> None:
    with pytest.raises(ValueError, match=value):
        plain(annotation, value, 1, 9)


@pytest.mark.parametrize(
    "arguments",
    [
        [],
        ["--number", "3", "--many", "1", "--many", "2", "a", "b"],
        ["--number", "10"],
        ["--number", "3.0"],
        ["--choice", "gru"],
        ["--choice", "GRU"],
        ["--many", "x"],
        ["--no-flag", "--file", "some/where"],
    ],
)
def test_a_command_is_called_as_typer_would_call_it(
    arguments: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    app = typer.Typer()

    @app.command()
    def command(
        texts: Annotated[list[str] | None, typer.Argument()] = None,
        number: Annotated[int, typer.Option(min=1, max=9)] = 1,
        many: list[int] | None = None,
        choice: Literal["lstm", "gru"] | None = None,
        flag: bool | None = None,
        file: Path = Path(),
    ) -> None:
        typer.echo(repr((texts, number, many, choice, flag, file)))

    before = CliRunner().invoke(app, arguments)
    _convert_until_the_test_ends(monkeypatch)
    after = CliRunner().invoke(app, arguments)

    assert after.exit_code == before.exit_code
    if before.exit_code == 0:  # the words of an error are our own
        assert after.output == before.output


def test_a_typer_that_describes_parameters_otherwise_converts_all_by_itself() -> None:
    class Renamed:
        """A parameter of a later typer."""

        multiple = False
        nargs = 1

    class Validation:
        def coerce(self, value: str, param: object, ctx: object) -> str:
            return f"typer's {value}"

    assert _Conversion(Validation).coerce("5", Renamed(), None) == "typer's 5"


def _convert_until_the_test_ends(monkeypatch: pytest.MonkeyPatch) -> None:
    for kind in (TyperArgument, TyperOption):
        if hasattr(kind, "get_runtime_param"):
            monkeypatch.setattr(kind, "get_runtime_param", kind.get_runtime_param)
    convert_plain_values()


@pytest.mark.skipif(not hasattr(TyperOption, "get_runtime_param"), reason="this typer has words of its own")
@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["train", "--layers", "x"], "error: Invalid value for '--layers': 'x' is not a whole number; "),
        (
            ["sample", "-l", "1.5"],
            "error: Invalid value for '--length' / '-l': '1.5' is not a whole number; ",
        ),
        (["perplexity", "--order", "-3"], "error: Invalid value for '--order': -3 has to be at least 1; "),
    ],
)
def test_a_wrong_number_is_told_in_plain_words(arguments: list[str], message: str, tmp_path: Path) -> None:
    result = lmgen(*arguments, cwd=tmp_path)

    assert result.returncode == 2
    assert result.stderr.startswith(message)
