"""lmgen in a program or notebook: texts of its own, many at a time, clear errors, short forms."""

import inspect
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import lmgen
from lmgen.calls import python_words
from lmgen.data.run_folder import RunFolder
from lmgen.errors import ConfigError, CorpusError, LmgenError, ModelError
from lmgen.runs.config import with_state
from lmgen.runs.config_file import configured, read_config, read_run_config
from lmgen.runs.events import Event, Started
from lmgen.text_model import TextModel
from tests.sentences import sentences

LINES = sentences(300).splitlines()
TEXT = "".join(f"{line}\n" for line in LINES)

TINY: dict[str, Any] = {
    "hidden_size": 8,
    "window_length": 8,
    "batch_size": 4,
    "baseline_order": 2,
    "threads": 1,
    "steps": 4,
    "evaluations": 2,
}

HYPHENATED: dict[str, Any] = {"batch-size": 1}
RESERVED: Any = {"from": "model"}


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The working directory: an empty one."""
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> TextModel:
    """An n-gram model of the sentences."""
    return lmgen.fit_ngram(TEXT, order=4, out=tmp_path_factory.mktemp("model") / "n.safetensors")


def error_of(call: Callable[[], object]) -> str:
    """The message of the error that a call ends in, which is short."""
    with pytest.raises(LmgenError) as error:
        call()
    assert len(str(error.value)) < 500
    assert "one fine day " * 8 not in str(error.value)
    return str(error.value)


def ngram_of(*corpus: Any, **given: Any) -> str:
    """Fit a model, and print all that its file says of it."""
    fitted = lmgen.fit_ngram(*corpus, order=3, overwrite=True, **given)
    return str([score.values() for score in (fitted.score(TEXT), fitted.score("a cat"))])


def test_a_text_a_list_an_iterator_and_a_file_are_the_same_corpus() -> None:
    Path("book.txt").write_text(TEXT)
    by_file = ngram_of("book.txt")

    assert ngram_of(TEXT) == by_file
    assert ngram_of(texts=LINES) == by_file
    assert ngram_of(texts=iter(LINES)) == by_file
    assert ngram_of(texts=(f"{line}\n" for line in LINES)) == by_file
    assert ngram_of(Path("book.txt")) == by_file
    assert ngram_of("".join(f"{line}\n" for line in LINES[:50]), texts=LINES[50:]) == by_file
    assert ngram_of("\n".join(LINES[:50]), "\n".join(LINES[50:]) + "\n") == by_file
    assert ngram_of(corpus=["book.txt"]) == by_file


def test_texts_are_records_for_models_of_records() -> None:
    poems = ["a cat\nsat", "a dog\nran"] * 20
    fitted = lmgen.fit_ngram(texts=poems, unit="record", order=4)

    assert fitted.path == lmgen.load().path == Path("checkpoints/texts-ngram.safetensors")
    assert fitted.tokenizer.unit == "record"
    assert fitted.score(poems[0]).tokens == len(poems[0]) + 1
    assert (
        fitted.score(poems[0]).nats
        < lmgen.fit_ngram(texts=poems, order=4, out="d.safetensors").score("sat\na cat").nats
    )


def test_held_out_texts_are_texts_paths_or_fractions() -> None:
    Path("held.txt").write_text("the old cat\n")
    runs = [
        lmgen.train(TEXT, out=f"run-{number}", valid=valid, test=test, **TINY)
        for number, (valid, test) in enumerate(
            [
                ("the old cat\n", ["a dog", "a cat"]),
                (Path("held.txt"), "a dog\na cat\n"),
                ("held.txt", iter(["a dog", "a cat"])),
            ]
        )
    ]
    fraction = lmgen.train(TEXT, out="run-f", valid=0.25, **TINY).run

    for trained in runs:
        assert trained.run is not None
        assert trained.run.valid_text.read_text() == "the old cat\n"
        assert trained.run.test_text.read_text() == "a dog\na cat\n"
    assert fraction is not None
    assert len(fraction.valid_text.read_text()) == pytest.approx(len(TEXT) / 4, abs=2)


def test_a_run_of_texts_is_resumed_and_says_where_its_text_came_from() -> None:
    """Its config.toml can be read, but the text is in no file."""
    whole = lmgen.train(TEXT, out="whole", valid="the cat\n", **TINY)
    cut = lmgen.train(texts=iter(LINES), out="cut", valid="the cat\n", should_stop=lambda: True, **TINY)
    resumed = lmgen.resume("cut")

    assert resumed.path.read_bytes() == whole.path.read_bytes()
    assert read_config(Path("cut/config.toml"))["corpus"] == ["(text from Python)"]
    assert read_run_config(Path("whole/config.toml")).held_out.valid == "(text from Python) 2"
    assert cut.path == resumed.path
    assert error_of(lambda: lmgen.train(config="cut/config.toml")).startswith(
        "(text from Python) stands for a text that a program gave, and no file holds it"
    )
    assert "takes another" in error_of(lambda: lmgen.resume("cut", texts=LINES))
    again = lmgen.train("the cat\nsat\n" * 200, config="cut/config.toml", valid=0.1, steps=2)
    assert again.path == Path("checkpoints/texts/model.safetensors")


def test_a_run_that_ends_while_it_reads_an_iterator_cannot_be_begun_again() -> None:
    """Not even if the process is killed, as by this exception in the place of a kill."""
    lmgen.train(TEXT, out="run", **TINY)
    new = RunFolder(Path("killed")).new
    new.folder.mkdir(parents=True)
    new.config.write_bytes(Path("run/config.toml").read_bytes())

    message = error_of(lambda: lmgen.resume("killed"))
    assert message == (
        "killed has nothing to go on from: it was stopped while it read its texts, and no file holds them; "
        "train again with the same texts"
    )


def test_an_iterator_that_fails_leaves_nothing_behind() -> None:
    def failing() -> Iterator[str]:
        yield from LINES
        raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        lmgen.train(texts=failing(), out="run", **TINY)
    assert lmgen.train(TEXT, out="run", **TINY).path.exists()


def test_cost_and_learning_rate_are_found_for_texts() -> None:
    settings = {**TINY, "steps": 1000}

    assert lmgen.estimate_cost(TEXT, **settings).steps == 1000
    assert lmgen.find_learning_rate(texts=LINES * 3, **settings).learning_rate > 0
    assert list(Path().iterdir()) == []


@pytest.mark.parametrize("begin", [lmgen.train, lmgen.fit_ngram, lmgen.estimate_cost, lmgen.load])
def test_no_error_repeats_a_long_text(begin: Callable[..., object], model: TextModel) -> None:
    long = "one fine day " * 20_000

    error_of(lambda: begin(long))
    error_of(lambda: model.perplexity(long))
    error_of(lambda: model.export("small.safetensors", to="int8", text=long))
    error_of(lambda: model.score("a\n" * 1000 + "\n", by=long))  # type: ignore[call-overload]
    error_of(lambda: model.sample([long]))  # type: ignore[call-overload]
    error_of(lambda: lmgen.train(TEXT, cell=long))
    error_of(lambda: lmgen.train(TEXT, **dict[str, Any]({long: 1})))


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda _: lmgen.train(LINES), "give many texts as texts=..."),  # type: ignore[arg-type]
        (lambda _: lmgen.train(b"one\n"), "the corpus is bytes"),  # type: ignore[arg-type]
        (lambda _: lmgen.train(None), "the corpus is None"),  # type: ignore[arg-type]
        (lambda _: lmgen.train(""), "the corpus is an empty str"),
        (lambda _: lmgen.train(texts=[]), "texts is empty"),
        (lambda _: lmgen.train("no-such-corpus"), "there is no file, folder or corpus 'no-such-corpus'"),
        (lambda _: lmgen.train(TEXT, valid=b"x\n"), "valid is bytes"),
        (lambda _: lmgen.train(TEXT, hiden_size=8), "hiden_size (did you mean hidden_size?)"),
        (lambda _: lmgen.train(TEXT, overwrit=True), "overwrit (did you mean overwrite?)"),
        (lambda _: lmgen.train(TEXT, lr=1), "lr (did you mean learning_rate?)"),
        (lambda _: lmgen.train(TEXT, **HYPHENATED), "batch-size (did you mean batch_size?)"),
        (lambda _: lmgen.train(TEXT, **RESERVED), "from (did you mean from_model?)"),
        (lambda _: lmgen.train(TEXT, stateful=3), "stateful is 3, but has to be True or False"),
        (lambda _: lmgen.train(TEXT, stateful=True, stateless=True), "state, stateful and stateless contra"),
        (lambda _: lmgen.estimate_cost(TEXT, step=8), "step (did you mean steps?)"),
        (lambda _: lmgen.find_learning_rate(TEXT, quux=8), "unknown settings quux; see `lmgen train --help`"),
        (lambda _: lmgen.fit_ngram(TEXT, ordr=8), "ordr (did you mean order?)"),
        (lambda _: lmgen.fit_ngram(TEXT, hidden_size=8), "unknown settings hidden_size; an n-gram model has"),
        (lambda _: lmgen.fit_ngram(TEXT, tokenizer="byte", vocab_size=8), "vocab_size is for tokenizer "),
        (lambda model: model.sample("a", temprature=1), "temprature (did you mean temperature?)"),
        (lambda model: model.sample("a", n=3), "n (did you mean num?)"),
        (lambda model: model.sample("a", temperature=-1), "temperature is -1.0, but has to be at least 0"),
        (lambda model: model.sample(["a", "b"]), "`complete` takes many prompts"),
        (lambda model: model.complete("a"), "prompts is 'a', but has to be a list or an iterator"),
        (lambda model: model.stream("a", lenght=3), "lenght (did you mean length?)"),
        (lambda model: model.next("a", tpo=3), "next(): unknown settings tpo (did you mean top?)"),
        (lambda model: model.perplexity("a\n", orders=3), "orders is 3, but has to be whole numbers"),
        (lambda model: model.perplexity("a\n", orders="123"), "orders is '123', but has to be whole numbers"),
        (lambda model: model.perplexity("a\n", ordr=3), "unknown settings ordr (did you mean order?)"),
        (lambda model: model.perplexity(["a\n"]), "give each as an argument of its own"),
        (lambda model: model.sample("a", num=2.5), "num is 2.5, but has to be a whole number"),
        (lambda model: model.sample("a", num=0), "num is 0, but has to be at least 1"),
        (
            lambda _: lmgen.train("one fine day " * 30),
            "too long for a name; to be taken for a text, it needs",
        ),
        (lambda _: lmgen.train(texts={"a": "b"}), "texts is {'a': 'b'}, but has to be a list or an iterator"),
        (lambda _: lmgen.train(TEXT, valid={"a": "b"}), "valid is {'a': 'b'}, but has to be a list or an"),
        (lambda _: lmgen.fit_ngram(TEXT, order="3"), "order is '3', but has to be a whole number"),  # type: ignore[arg-type]
        (lambda _: lmgen.load("a\nb"), "there is no model a\\nb;"),
        (lambda model: model.next("a", 0), "top is 0, but has to be at least 1"),
        (lambda model: model.next(None), "text is None, but has to be a str"),
        (lambda model: model.next("a", of=5), "of is 5, but has to be a list or an iterator of texts"),
        (lambda model: model.next("a", of=["b", None]), "of: text 2 is None, but has to be a str"),
        (lambda model: model.next("a", of=["b", ""]), "of is ['b', ''], but has to be a list of texts of at"),
        (lambda model: list(model.complete(["a", None])), "prompts: text 2 is None, but has to be a str"),
        (lambda model: model.complete({"a": 1}), "prompts is {'a': 1}, but has to be a list or an iterator"),
        (lambda model: model.stream(None), "prompt is None, but has to be a str"),
        (lambda model: model.sample("a", stop=None), "stop is None, but has to be a list of texts"),
        (lambda model: model.tokenize(["a"]), "text is ['a'], but has to be a str"),
        (lambda model: model.score({"a": 1}), "text is {'a': 1}, but has to be a text or a list of texts"),
        (lambda model: model.score(b"a\n"), "text is b'a\\n', but has to be a text or a list of texts"),
        (lambda model: model.score(Path("a")), "`perplexity` reads files"),
        (lambda model: model.score(["a", 5]), "text: text 2 is 5, but has to be a str"),
        (lambda model: model.score(["a", ""]), "nothing to score: text 2 has no text in it"),
        (
            lambda model: model.score("a", by="lines"),
            "by is 'lines', but has to be one of document, record, line",
        ),
    ],
)
def test_what_is_wrong_with_a_call_is_said_in_its_own_words(
    call: Callable[[TextModel], object], message: str, model: TextModel
) -> None:
    assert message in error_of(lambda: call(model))
    assert not list(Path().rglob("config.toml"))


def test_numbers_of_numpy_are_numbers() -> None:
    model = lmgen.train(
        TEXT,
        out="run",
        **{**TINY, "steps": np.int64(2), "hidden_size": np.int32(8), "valid": np.float32(0.25)},
        tied=np.bool_(False),
        learning_rate=np.float32(0.01),
    )
    two: Any = np.int64(2)
    settings: dict[str, Any] = {"length": np.int64(3), "top_k": np.int8(5), "temperature": np.float32(0.5)}

    assert model.sample("a", num=two, seed=np.uint32(1), **settings) == model.sample(
        "a", num=2, seed=1, length=3, top_k=5, temperature=0.5
    )
    assert model.next("a", two) == model.next("a", 2)


def test_errors_name_arguments_as_python_writes_them() -> None:
    lmgen.train(TEXT, out="run", **TINY)

    assert error_of(lambda: lmgen.train(TEXT, out="run", **TINY)) == (
        "there is a run in run already; go on with it (lmgen.resume), replace it (overwrite=True) or give "
        "another folder (out)"
    )
    assert "smaller batch_size or window_length" in error_of(lambda: lmgen.train("a\nb\n", out="r", **TINY))
    assert python_words("`a --b` 'c --d' e--f --no-mix --from-x -- --batch-size=2") == (
        "`a --b` 'c --d' e--f mix=False from_x -- batch_size=2"
    )


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (
            "hiden_size = 8",
            "settings.toml and the call: unknown settings hiden_size (did you mean hidden_size?)",
        ),
        ("derived = 3", "settings.toml: derived has to be a table"),
        ("batch-size = 8", "unknown settings batch-size (did you mean batch_size?)"),
    ],
)
def test_what_is_wrong_in_a_file_is_said_with_its_name(content: str, message: str) -> None:
    Path("settings.toml").write_text(content)

    assert message in error_of(lambda: configured({"config": "settings.toml"}, "the call"))


def test_stateful_and_stateless_say_state() -> None:
    assert with_state({"stateless": True, "seed": 1}) == {"state": "reset", "seed": 1}
    assert with_state({"stateful": True, "state": "carry"}) == {"state": "carry"}
    assert with_state({"stateful": False}) == with_state({"stateless": True})
    assert with_state({"stateful": None}) == {}
    lmgen.train(TEXT, out="run", stateless=True, **TINY)

    assert read_config(Path("run/config.toml"))["state"] == "reset"


def test_many_texts_are_sampled_at_once(model: TextModel) -> None:
    texts = model.sample("the ", num=3, length=8, seed=1)
    completions = list(model.complete(["the "], num=3, length=8, seed=1))

    assert texts == ["the " + each.text for each in completions]
    assert model.sample("the ", num=3, length=8, seed=1, echo=False) == [each.text for each in completions]
    assert len(set(texts)) > 1
    assert model.sample("the ", num=1, length=8, seed=1) == [model.sample("the ", length=8, seed=1)]


@pytest.mark.parametrize("tokenizer", ["char", "word"])
@pytest.mark.parametrize("unit", ["document", "line", "record"])
def test_a_list_is_scored_as_each_of_its_texts_is(tokenizer: str, unit: str) -> None:
    fitted = lmgen.fit_ngram(texts=LINES, order=3, tokenizer=tokenizer, unit=unit)
    texts = ["the old cat", "a dog\n", "the cat\nran", "zebra"] * 300
    scores = fitted.score(iter(texts))

    assert [score.text for score in scores[:2]] == ["text 1", "text 2"]
    for text, score in zip(texts[:4], scores[-4:], strict=True):
        alone = fitted.score(text)
        assert score.nats == pytest.approx(alone.nats)
        assert {**score.values(), "nats": 0, "text": ""}.keys() == alone.values().keys()
        assert (score.tokens, score.words, score.characters) == (alone.tokens, alone.words, alone.characters)
        assert score.unknown_tokens == alone.unknown_tokens
    assert fitted.score([]) == []


def test_a_text_is_scored_by_line_and_token_as_a_file_is(model: TextModel) -> None:
    text = "the old cat\na dog sat\n"
    Path("text").write_text(text)

    units: list[Any] = ["line", "token"]
    for by in units:
        assert model.score(text, by=by) == list(model.perplexity("text", by=by))
        assert list(model.perplexity(text, by=by)) == model.score(text, by=by)
    by_line = model.score([text, text], by="line")
    assert isinstance(by_line, list)
    assert [(row.text, row.line) for row in by_line] == [
        ("text 1", 1),
        ("text 1", 2),
        ("text 2", 1),
        ("text 2", 2),
    ]
    assert [score.text for score in model.perplexity(text, "text")] == ["text 1", "text"]


def test_a_network_in_fewer_bytes_is_scored_on_a_text_of_the_program() -> None:
    exported = lmgen.train(TEXT, out="run", **TINY).export("small.safetensors", to="int8", text="a cat\n" * 9)

    assert exported.scores is not None
    assert exported.scores[0].tokens == 54


def test_a_network_is_given_weights_by_hand_and_the_one_it_was_made_of_stays(folder: Path) -> None:
    begun = TextModel.untrained("ab\n", cell="rnn", hidden_size=2, embedding_size=0)
    before = begun.tensors
    certain = begun.with_tensors(
        {"output.weight": np.zeros((4, 2)), "output.bias": [0, 0, 0, 100], "layers.0.bias": [0.5, -0.5]}
    )

    assert [each.token for each in certain.next("a", top=1)] == ["b"]
    assert certain.tensors.keys() == before.keys()
    assert (certain.tensors["layers.0.weight_input"] == before["layers.0.weight_input"]).all()
    assert all((begun.tensors[name] == array).all() for name, array in before.items())
    before["output.bias"][:] = 100  # a copy
    assert not begun.tensors["output.bias"].any()
    assert "not saved" in repr(certain)
    assert (certain.save(folder / "made.safetensors").tensors["output.bias"] == [0, 0, 0, 100]).all()


@pytest.mark.parametrize(
    ("tensors", "message"),
    [
        ({"output.bais": [0, 0, 0, 0]}, "its tensors output.bais belong to no layer of this network"),
        ({"output.bias": [0, 0]}, r"its tensor output.bias is float32 \(2,\), but has to be float32 \(4,\)"),
        ({"output.bias": [0, 0, 0, float("nan")]}, "output.bias holds values that are not finite numbers"),
        ({"output.bias": [0, [0], 0]}, "the tensor output.bias is no array of numbers"),
        ({"output.bias": "zero"}, "the tensor output.bias is no array of numbers"),
    ],
)
def test_weights_that_do_not_fit_are_refused(tensors: dict[str, Any], message: str) -> None:
    begun = TextModel.untrained("ab\n", cell="rnn", hidden_size=2, embedding_size=0)

    with pytest.raises(ModelError, match=message):
        begun.with_tensors(tensors)


def test_a_model_without_weights_has_no_tensors(folder: Path) -> None:
    ngram = lmgen.fit_ngram("ab\n" * 50, order=2, out=folder / "ab.safetensors")

    with pytest.raises(ModelError, match="is not a network"):
        _ = ngram.tensors
    with pytest.raises(ModelError, match="is not a network"):
        ngram.with_tensors({})


def test_everything_has_a_repr_of_one_short_line(model: TextModel) -> None:
    events: list[Event] = []
    trained = lmgen.train(TEXT * 3, out="run", on_event=events.append, **{**TINY, "learning_rate": "find"})
    started = next(event for event in events if isinstance(event, Started))
    scores = [*trained.score("a\n", by="token"), *trained.perplexity("a\n", orders=[1])]
    shown: list[object] = [
        *[model, model.model, model.tokenizer, model.score(TEXT), model.score(["a"]), *scores],
        *[trained, trained.model, trained.tokenizer, trained.mixed(), trained.mixed().model],
        *[
            trained.mixing_weights(),
            *model.next("the "),
            *model.complete(["the "], length=9),
            *model.texts(TEXT),
        ],
        *[*events, *map(str, events), started.config, started.prepared],
    ]

    assert repr(trained) == "<TextModel lstm 1 x 8, char, V = 25, run>"
    assert repr(trained.mixed()).startswith("<TextModel mixture of ")
    assert repr(trained.mixed()).endswith(" ngram-2, char, V = 25, not saved>")
    assert repr(model.model) == "<NgramModel ngram-4, V = 25>"
    assert repr(model.score("a cat")).startswith("<TextScore ngram-4, text: 5 tokens, perplexity ")
    assert repr(started.config) == "<RunConfig lstm 1 x 8, char, on (text from Python)>"
    for each in shown:
        assert "\n" not in repr(each).strip()
        assert len(repr(each)) < 800, repr(each)


def test_help_names_every_argument() -> None:
    for name in lmgen.__all__:
        public = getattr(lmgen, name)
        assert public.__doc__, name
        if inspect.isfunction(public):
            arguments = list(inspect.signature(public).parameters)
            missing = [each for each in arguments if f"{each}:" not in public.__doc__]
            assert not missing or "as `train`" in public.__doc__ or len(arguments) < 3, (name, missing)
    assert {name for name in vars(lmgen) if not name.startswith("_")} >= set(lmgen.__all__)
    for method in ("sample", "complete", "score", "perplexity", "export"):
        assert "Args:" in (getattr(TextModel, method).__doc__ or ""), method
        assert "num" not in inspect.signature(TextModel.score).parameters


def test_texts_that_are_too_short_are_refused_as_files_are() -> None:
    with pytest.raises(CorpusError, match="the corpus has 1 character"):
        lmgen.train("\n", **TINY)
    with pytest.raises(ModelError, match="there is no model one"):
        lmgen.load("one")
    with pytest.raises(ConfigError, match="valid is an empty str"):
        lmgen.train(TEXT, valid="", **TINY)
