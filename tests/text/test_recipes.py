import re
from pathlib import Path

import pytest

from lmgen.errors import CorpusError
from lmgen.text.recipes import load_recipes, read_recipe

GOOD = """
description = "a text"
licence = "none"
homepage = "https://example.org"
[[variants]]
archive = "text.zip"
train = "in/text"
[sha256]
"text.zip" = "{}"
""".format("0" * 64)


def test_the_recipes_that_come_with_lmgen_are_right() -> None:
    recipes = load_recipes()

    assert set(recipes) == {
        "enwik8",
        "names",
        "penn-treebank",
        "text8",
        "tiny-shakespeare",
        "war-and-peace",
        "wikitext-103",
        "wikitext-2",
    }
    assert recipes["tiny-shakespeare"].split == {"valid": 0.1}
    assert recipes["text8"].split_bytes == recipes["enwik8"].split_bytes == (90_000_000, 5_000_000, 5_000_000)
    assert recipes["wikitext-2"].characters() == 10_780_437 + 1_120_192 + 1_255_018
    assert recipes["war-and-peace"].characters() is None


def test_the_readme_lists_every_recipe_and_every_file() -> None:
    readme = (Path(__file__).parents[2] / "corpora" / "README.md").read_text(encoding="utf-8")

    for recipe in load_recipes().values():
        assert f"| `{recipe.name}` |" in readme
        assert all(variant.files()[0] in readme for variant in recipe.variants)


def test_a_good_recipe_is_read(tmp_path: Path) -> None:
    path = tmp_path / "text.toml"
    path.write_text(GOOD)
    recipe = read_recipe(path)

    assert recipe.name == "text"
    assert [variant.files() for variant in recipe.variants] == [["text.zip"]]


@pytest.mark.parametrize(
    ("change", "problem"),
    [
        ({"licence": "license"}, "the recipe: unknown keys license; known are counts, description"),
        ({'licence = "none"': ""}, "the recipe: missing keys licence"),
        ({'"a text"': "7"}, "the recipe: description is 7, but has to be of type str"),
        ({"train": "trein"}, "[[variants]]: unknown keys trein"),
        ({"in/text": "../text"}, "[[variants]]: '../text' leads out of the folder"),
        ({"text.zip": "/text.zip"}, "[[variants]]: '/text.zip' leads out of the folder"),
        ({"0000": "xyz"}, "[sha256]: 'text.zip' needs 64 lower-case hexadecimal digits"),
        ({'"text.zip" =': '"other.zip" ='}, "[sha256]: 'other.zip' is not a file of any variant"),
        ({"[sha256]": "[split]\nvalid = 1.5\n[sha256]"}, "[split]: valid and test must be positive"),
        (
            {"[sha256]": "[split]\ntrain = 0.5\n[sha256]"},
            "[split]: unknown keys train; known are test, valid",
        ),
        ({"[[variants]]": "split_bytes = [1, 2]\n[[variants]]"}, "split_bytes must be three lengths"),
        ({"[[variants]]": 'split_bytes = [1, 2, "3"]\n[[variants]]'}, "split_bytes: '3' is not a length"),
        ({"[sha256]": "[counts.all]\n[sha256]"}, "[counts]: unknown keys all"),
        ({"[sha256]": "[counts.whole]\nlines = 3\n[sha256]"}, "[counts.whole]: unknown keys lines"),
        ({"[[variants]]": "[variants]"}, "the recipe: variants is {"),
        (
            {"[sha256]": '[[variants]]\ntrain = "a"\ntest = "b"\naddress = "https://x"\n[sha256]'},
            "an address is allowed only for a single file",
        ),
        (
            {"[sha256]": '[[variants]]\ntrain = "a"\naddress = "file:///etc/passwd"\n[sha256]'},
            "'file:///etc/passwd' is not a web address",
        ),
        ({'"a text"': "[" * 10_000}, "maximum recursion depth exceeded"),
        ({'"a text"': '"' + "a" * 2_000_000 + '"'}, "it is larger than 1,048,576 bytes"),
        ({'"a text"': "a text"}, "Invalid value (at line 2"),
    ],
)
def test_what_is_wrong_with_a_recipe_is_named(change: dict[str, str], problem: str, tmp_path: Path) -> None:
    text = GOOD
    for old, new in change.items():
        text = text.replace(old, new)
    path = tmp_path / "text.toml"
    path.write_text(text)

    with pytest.raises(CorpusError, match=re.escape(problem)) as caught:
        read_recipe(path)
    assert str(caught.value).startswith(f"{path} is not a recipe: ")
