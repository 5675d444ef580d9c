"""`lmgen next` as a user runs it."""

import json
from pathlib import Path

import numpy as np
import pytest
import typer
from typer.testing import CliRunner, Result

from lmgen.cli.next import next_
from lmgen.models.model_file import save_model
from lmgen.models.ngram.model import NgramModel
from lmgen.text_model import TextModel
from lmgen.tokenizers.characters import CharacterTokenizer
from lmgen.tokenizers.config import TokenizerConfig
from lmgen.tokenizers.registry import train_tokenizer
from lmgen.tokenizers.words import WordTokenizer
from tests.cli.tiny_model import save_bigram_model
from tests.sentences import sentences

app = typer.Typer()
app.command("next")(next_)


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Whatever came before: line end 1/2, blank 1/4, a 1/8, b and unknown 1/16."""
    path = tmp_path_factory.mktemp("next") / "model.safetensors"
    scores = np.log([1 / 16, 1 / 2, 1 / 4, 1 / 8, 1 / 16])
    return save_bigram_model(path, CharacterTokenizer("\n ab"), np.tile(scores, (5, 1)))


def run(*arguments: str | Path, text: str | None = None) -> Result:
    return CliRunner().invoke(app, [str(argument) for argument in arguments], input=text)


def test_the_table_lists_the_likeliest_tokens_escaped(model: Path) -> None:
    result = run(model, "ab")
    assert result.exit_code == 0
    assert result.stdout.splitlines() == [
        "token  probability     log10",
        "\\n             0.5   -0.3010",
        "▁             0.25   -0.6021",
        "a            0.125   -0.9031",
        "<unk>       0.0625   -1.2041",
        "b           0.0625   -1.2041",
    ]


def test_json_is_one_object_with_tokens_as_they_are(model: Path) -> None:
    result = json.loads(run(model, "ab", "--json", "--top", "2").stdout)
    assert result["text"] == "ab"
    assert [entry["token"] for entry in result["next"]] == ["\n", " "]
    assert result["next"][1] == {
        "token": " ",
        "probability": pytest.approx(0.25),
        "log10": pytest.approx(np.log10(0.25)),
        "token_id": 2,
    }


def test_the_text_can_come_from_stdin(model: Path) -> None:
    assert json.loads(run(model, "-", "--json", text="ab\n").stdout)["text"] == "ab"


def test_without_a_model_the_newest_run_is_used(
    model: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    run_folder = tmp_path / "checkpoints" / "mine"
    run_folder.mkdir(parents=True)
    (run_folder / "config.toml").write_text("")
    (run_folder / "model.safetensors").write_bytes(model.read_bytes())
    result = run("ab", "--top", "1")
    assert result.stdout.startswith("token")
    assert result.stderr == "note: using the newest run, checkpoints/mine\n"


def test_unknown_characters_are_named(model: Path) -> None:
    assert run(model, "aé").stderr == "note: the model never saw 'é' and reads it as unknown\n"


def test_an_unquoted_text_is_wrong_usage(model: Path) -> None:
    result = run(model, "a", "b")
    assert result.exit_code == 2
    assert result.stderr == (
        "error: next takes a model and a text, but was given 3 arguments; "
        "put quotes around a text with blanks\n"
    )


def test_a_model_without_a_text_is_wrong_usage(model: Path) -> None:
    result = CliRunner().invoke(app, [str(model)])
    assert result.exit_code == 2
    assert (
        result.stderr == f"error: {model} is a model, but there is no text; give the text so far after it\n"
    )


def test_a_missing_model_is_one_line(tmp_path: Path) -> None:
    result = run(tmp_path / "none.safetensors", "a")
    assert (result.exit_code, result.stdout) == (1, "")
    assert result.stderr.startswith("error: ")
    assert result.stderr.count("\n") == 1


def test_there_is_at_least_one_token_to_list(model: Path) -> None:
    assert run(model, "a", "--top", "0").exit_code == 2


@pytest.fixture(scope="module")
def sub_words(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Short English sentences in pieces of words."""
    path = tmp_path_factory.mktemp("next") / "sub-words.safetensors"
    text = sentences(300)
    tokenizer = train_tokenizer(lambda: [text], TokenizerConfig(tokenizer="bpe", vocab_size=400))
    model = NgramModel.fit(tokenizer.encode(text), order=4, vocabulary_size=tokenizer.vocabulary_size)
    save_model(path, model, tokenizer)
    return path


def test_after_a_blank_the_rest_of_each_token_is_listed(sub_words: Path) -> None:
    """Not what follows a lone blank, which is hardly a token of the text."""
    animals = {"cat", "dog", "hen", "fox", "owl", "mouse"}
    for text in ("the old ", "a small "):
        rows = run(sub_words, text, "--top", "6").stdout.splitlines()[1:]
        assert {row.split()[0] for row in rows} == animals
        assert sum(float(row.split()[1]) for row in rows) == pytest.approx(0.95, abs=0.05)
    table = run(sub_words, "the old m").stdout.splitlines()
    assert table[1].split()[0] == "ouse"
    rows = run(sub_words, "the old", "--top", "6").stdout.splitlines()[1:]
    assert {row.split()[0] for row in rows} == {f"▁{animal}" for animal in animals}


class TestContinuations:
    """`--of`."""

    def test_they_are_listed_in_the_order_given(self, model: Path) -> None:
        result = run(model, "ab", "--of", "b,a", "--of", "\n")
        assert result.exit_code == 0
        assert result.stdout.splitlines() == [
            "continuation  probability     log10",
            "b                 0.01562   -1.8062",
            "a                 0.03125   -1.5051",
            "\\n                    0.5   -0.3010",
        ]

    def test_json_has_each_with_its_probability(self, model: Path) -> None:
        result = json.loads(run(model, "ab ", "--of", "ab,a", "--json").stdout)
        assert result == {
            "text": "ab ",
            "next": [
                {
                    "continuation": "ab",
                    "probability": pytest.approx(1 / 128),
                    "log10": pytest.approx(np.log10(1 / 128)),
                },
                {
                    "continuation": "a",
                    "probability": pytest.approx(1 / 8),
                    "log10": pytest.approx(np.log10(1 / 8)),
                },
            ],
        }

    def test_relative_ones_sum_to_1(self, model: Path) -> None:
        result = json.loads(run(model, "ab ", "--of", "a,b", "--relative", "--json").stdout)
        assert [each["probability"] for each in result["next"]] == pytest.approx([2 / 3, 1 / 3])

    def test_commas_and_quotes_are_written_as_in_csv(self, model: Path) -> None:
        result = json.loads(run(model, "ab", "--of", 'a,"b, a","a ""b"""," a"', "--json", "--quiet").stdout)
        assert [each["continuation"] for each in result["next"]] == ["a", "b, a", 'a "b"', " a"]
        lines = json.loads(run(model, "ab", "--of", '"a\nb",\r\n', "--json", "--quiet").stdout)
        assert [each["continuation"] for each in lines["next"]] == ["a\nb", "\r\n"]

    def test_sub_words_cost_what_scores_of_the_whole_text_say(self, sub_words: Path) -> None:
        opened = TextModel.load(sub_words)
        text = "the old fox ran near"
        found = opened.next(text, of=["the hill", "a box", "the"])
        for each in found:
            whole = opened.score(f"{text} {each.continuation}").nats - opened.score(text).nats
            assert each.probability == pytest.approx(np.exp(-whole), rel=1e-5)

    def test_a_blank_may_end_the_text_or_begin_the_continuation(self, sub_words: Path) -> None:
        opened = TextModel.load(sub_words)
        [plain] = opened.next("the old", of=["fox"])
        [before] = opened.next("the old", of=[" fox"])
        [after] = opened.next("the old ", of=["fox"])
        assert before.probability == plain.probability
        assert plain.probability < after.probability < 1.3 * plain.probability

    def test_an_unknown_word_is_named(self, tmp_path: Path) -> None:
        tokenizer = WordTokenizer(["the", "cat"])
        path = save_bigram_model(tmp_path / "words.safetensors", tokenizer, np.zeros((4, 4)))
        result = run(path, "the", "--of", "cat,dog", "--json")
        assert result.stderr == "note: the model never saw 'dog' and reads it as unknown\n"
        unfinished = run(path, "th", "--of", "ca,dog", "--json")
        assert unfinished.stderr == "note: the model never saw 'th', 'ca', 'dog' and reads them as unknown\n"
        shares = [each["probability"] for each in json.loads(result.stdout)["next"]]
        assert shares == pytest.approx([1 / 4, 1 / 4])

    @pytest.mark.parametrize(
        ("arguments", "message"),
        [
            (["--of", ""], "has a continuation of no characters"),
            (["--of", "a,,b"], "has a continuation of no characters"),
            (["--of", '"a'], "cannot be read as comma-separated texts"),
            (["--of", "a", "--top", "3"], "leave one of them out"),
            (["--relative"], "--relative goes with --of"),
        ],
    )
    def test_flags_that_make_no_sense_are_wrong_usage(
        self, model: Path, arguments: list[str], message: str
    ) -> None:
        result = run(model, "ab", *arguments)
        assert (result.exit_code, result.stdout) == (2, "")
        assert message in result.stderr
        assert result.stderr.startswith("error: ")
        assert result.stderr.count("\n") == 1


def test_a_byte_order_mark_is_no_part_of_the_text(model: Path) -> None:
    assert json.loads(run(model, "-", "--json", text="\ufeffab\n").stdout)["text"] == "ab"
    assert run(model, "\ufeffab").stderr == ""
