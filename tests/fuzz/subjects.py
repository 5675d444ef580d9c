"""The files that are damaged, tiny and of every kind, and what is done with each afterwards."""

import base64
import bz2
import gzip
import io
import json
import lzma
import tarfile
import zipfile
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from math import inf, nan
from pathlib import Path
from random import Random
from typing import Any

import numpy as np
import zstandard

from lmgen.data.prepared import load_prepared
from lmgen.data.run_folder import RunFolder
from lmgen.data.token_file import read_tokens, write_tokens
from lmgen.evaluation.mixing import fitted_weights
from lmgen.label_model import LabelModel
from lmgen.models.base import LanguageModel
from lmgen.models.mixture import MixtureModel
from lmgen.models.model_file import load_model, save_model
from lmgen.models.network.config import NetworkConfig
from lmgen.models.network.initialization import initial_parameters
from lmgen.models.network.model import RecurrentModel
from lmgen.models.ngram.arpa import read_arpa, write_arpa
from lmgen.models.ngram.model import NgramModel
from lmgen.text.archives import member_blocks
from lmgen.text.encodings import decoded
from lmgen.text.raw import file_blocks
from lmgen.text.recipes import read_recipe
from lmgen.text.records import json_lines
from lmgen.text.sources import open_text
from lmgen.text_model import TextModel
from lmgen.tokenizers.base import Tokenizer
from lmgen.tokenizers.config import TokenizerConfig
from lmgen.tokenizers.imported import SentencePieceTokenizer
from lmgen.tokenizers.registry import train_tokenizer
from lmgen.tokenizers.sentencepiece_model import BPE, UNIGRAM, Piece, model_of, read_pieces, read_settings
from tests.cli.tiny_model import save_label_model
from tests.fakes import uniform_model
from tests.fuzz.mutations import ANY_BYTES, JSON, TEXT, Mutate, Mutation
from tests.fuzz.tensor_files import TENSOR_FILE, exchanged, file_of, header_of, parts_of
from tests.tokenizers.sentencepiece_models import model as made_elsewhere

CORPUS = "the cat sat on the mat.\na bat; café: (don't)!\n" * 4

MOST_TEXT = 1 << 26
"""Bytes or characters that a case reads of a text: expanding it whole is not what is tried."""


@dataclass(frozen=True)
class Subject:
    """A good file, the ways to damage it, and its use: that ends well or raises an LmgenError."""

    name: str
    suffix: str
    data: bytes
    mutations: Sequence[Mutate]
    use: Callable[[Path], None]


def subjects(folder: Path) -> list[Subject]:
    """All of them; they are made in the folder."""
    models = [*_networks(folder), *_ngrams(folder), _mixture(folder), *_label_networks(folder)]
    others = [model.data for model in models]

    def exchange(data: bytes, random: Random) -> Mutation:
        number = random.randrange(len(others))
        return exchanged(data, others[number]), f"with the tensors of {models[number].name}"

    return [
        *(replace(model, mutations=[*model.mutations, exchange]) for model in models),
        *_arpa_files(folder),
        *_run_files(folder),
        *_texts(),
    ]


# Models


def _tokenizer(name: str, **settings: Any) -> Tokenizer:
    return train_tokenizer(lambda: [CORPUS], TokenizerConfig(tokenizer=name, **settings))


def _networks(folder: Path) -> Iterator[Subject]:
    tiny: dict[str, Any] = {"hidden_size": 3, "embedding_size": 2}
    networks: list[tuple[str, Tokenizer, dict[str, Any], str]] = [
        ("lstm", _tokenizer("char"), {"layers": 2}, "float32"),
        ("gru", _tokenizer("word"), {"tied": True}, "float16"),
        ("rnn", _tokenizer("bpe", vocab_size=266), {}, "int8"),
        ("rnn-relu", _tokenizer("char", vocab_size=9), {"residual": True, "layers": 2}, "float32"),
        ("rnn-sigmoid", _tokenizer("unigram", vocab_size=266), {}, "float32"),
        ("lstm", SentencePieceTokenizer(made_elsewhere("as-llama")), {}, "float32"),
        ("lstm-peephole", _tokenizer("word", split_punctuation=True), {"last_hidden_size": 2}, "float32"),
        ("lstm-layernorm", _tokenizer("byte"), {"output": "adaptive", "cutoffs": "100,200"}, "int8"),
    ]
    for name, tokenizer, settings, weights in networks:
        config = NetworkConfig(cell=name, **{**tiny, **settings})
        V = tokenizer.vocabulary_size
        model = RecurrentModel(
            config, V, tokenizer.start, initial_parameters(config, V, tokenizer.unknown, seed=0)
        )
        path = folder / f"{name}-{tokenizer.name}.safetensors"
        training = {"corpus": "cats", "steps": 3, "parents": [{"corpus": "dogs"}]}
        save_model(path, model, tokenizer, training, weights)
        has_pieces = tokenizer.name in ("bpe", "unigram", "sentencepiece")
        mutations = [*TENSOR_FILE, *([_change_pieces] * 6 if has_pieces else [])]
        yield Subject(
            f"network {name} {tokenizer.name}", path.suffix, path.read_bytes(), mutations, use_model
        )


def _label_networks(folder: Path) -> Iterator[Subject]:
    for pool in ("max", None):
        path = save_label_model(folder / f"labels-{pool}.safetensors", pool)
        yield Subject(f"labels {pool}", path.suffix, path.read_bytes(), TENSOR_FILE, use_labels)


def _ngrams(folder: Path) -> Iterator[Subject]:
    for tokenizer, order in [(_tokenizer("char"), 3), (_tokenizer("word"), 4), (_tokenizer("byte"), 1)]:
        path = folder / f"{tokenizer.name}.safetensors"
        save_model(path, _ngram(tokenizer, order), tokenizer)
        yield Subject(f"n-gram {tokenizer.name}", path.suffix, path.read_bytes(), TENSOR_FILE, use_model)


def _mixture(folder: Path) -> Subject:
    tokenizer, path = _tokenizer("char"), folder / "mixture.safetensors"
    config, V = NetworkConfig(cell="gru", hidden_size=3, embedding_size=2), tokenizer.vocabulary_size
    network = RecurrentModel(config, V, tokenizer.start, initial_parameters(config, V, None, seed=0))
    save_model(path, MixtureModel([network, _ngram(tokenizer, 2)], [0.25, 0.75]), tokenizer)
    return Subject("mixture", path.suffix, path.read_bytes(), TENSOR_FILE, use_model)


def _ngram(tokenizer: Tokenizer, order: int) -> NgramModel:
    return NgramModel.fit(
        tokenizer.encode(CORPUS),
        order=order,
        vocabulary_size=tokenizer.vocabulary_size,
        sentence_end=tokenizer.line_end if tokenizer.reads_lines else None,
    )


def use_model(path: Path) -> None:
    """Load a model; what loads has to have the right shapes and give probabilities."""
    saved = load_model(path)
    use(TextModel(saved.model, saved.tokenizer, path, dict(saved.training), saved.weights))


def use_labels(path: Path) -> None:
    """Load a model that labels; what loads describes itself and gives each text, or word, a probability."""
    model = LabelModel.load(path)
    json.dumps(model.describe())
    repr(model)
    texts = ["a fine day", "no", "猫 " * 9]
    found = list(model.label(texts))
    assert [len(each) for each in found] == ([3, 1, 9] if model.model.of == "word" else [1, 1, 1])
    assert all(label.label in model.labels for each in found for label in each)
    assert model.score("a/yes fine/no\n" if model.model.of == "word" else "no\tno\n").instances


def use(opened: TextModel) -> None:
    """Describe a model, and have it predict, score, list and write a few tokens."""
    check_shapes(opened.model, opened.tokenizer)
    json.dumps(opened.model.describe())
    repr(opened.training)
    opened.next("the c", 3)
    opened.score("the cat\n")
    opened.sample("a", length=4, seed=0, top_p=0.9)
    opened.tokenizer.decode(range(opened.tokenizer.vocabulary_size)).encode("utf-8", "surrogateescape")
    assert all(map(opened.tokenizer.escaped_piece, range(opened.tokenizer.vocabulary_size)))


def check_shapes(model: LanguageModel, tokenizer: Tokenizer) -> None:
    """Predictions and scores are (B, V) and (T, B), and no NaN unless numbers grow beyond all bounds."""
    V = tokenizer.vocabulary_size
    assert model.vocabulary_size == V
    state = model.start(2)
    ids = np.array([[0, V - 1], [V // 2, 1 % V], [V - 1, 0]])
    scored, state = model.score(state, ids)
    predicted = model.predict(state)
    assert predicted.shape == (2, V)
    assert scored.shape == ids.shape
    assert _grows(model) or not (np.isnan(predicted).any() or np.isnan(scored).any())
    encoded = tokenizer.encode("the cat, NUL \0 ▁ 日本\n\n x")
    assert all(0 <= token < V for token in encoded.tolist())


def _grows(model: LanguageModel) -> bool:
    """Whether a network may overflow: then what scores and draws refuses it, not what loads."""
    if isinstance(model, MixtureModel):
        return any(map(_grows, model.models))
    network = model.as_network()
    if network is None:
        return False
    return model.name == "rnn-relu" or any(np.abs(array).max() > 1e6 for array in network.parameters.values())


def _change_pieces(data: bytes, random: Random) -> Mutation:
    """Damage the SentencePiece model inside a model file."""
    parts = parts_of(data)
    header = json.loads(parts.metadata)
    model = base64.b64decode(header["tokenizer"]["model"])
    if random.random() < 0.3:
        model, what = random.choice(ANY_BYTES)(model, random)
    else:
        pieces = read_pieces(model)
        place = random.choice([0, 1, 2, 258, random.randrange(len(pieces)), len(pieces) - 1])
        texts = [
            "",
            "\0",
            "a\0b",
            "\n",
            "a\nb",
            "▁",
            "▁▁",
            "<unk>",
            "<0x41>",
            "x" * 10_000,
            "é",
            "▅",
            pieces[-1].text,
        ]
        scores = [nan, inf, -inf, 3e38, -3e38, 1e9, -1e9, 0.0, 1.0]
        new = random.choice(
            [
                pieces[place]._replace(text=random.choice(texts)),
                pieces[place]._replace(score=random.choice(scores)),
                pieces[place]._replace(kind=random.choice([0, 1, 2, 3, 4, 5, 6, 7, 127])),
                Piece(random.choice(texts), random.choice([1, 4, 6]), random.choice(scores)),
            ]
        )
        pieces[place] = new
        kind = random.choice([UNIGRAM, BPE])
        model, what = (
            model_of(pieces, read_settings(model)._replace(model_type=kind)),
            f"piece {place} is {str(new)[:80]}",
        )
    header["tokenizer"]["model"] = base64.b64encode(model).decode()
    changed = replace(parts, metadata=json.dumps(header))
    return file_of(header_of(changed), changed), what


# ARPA files


def _arpa_files(folder: Path) -> Iterator[Subject]:
    for tokenizer, order in [
        (_tokenizer("word"), 3),
        (_tokenizer("char"), 2),
        (_tokenizer("bpe", vocab_size=262), 2),
    ]:
        path = folder / f"{tokenizer.name}.arpa"
        write_arpa(path, _ngram(tokenizer, order), tokenizer)
        yield Subject(f"ARPA {tokenizer.name}", ".arpa", path.read_bytes(), TEXT, _use_arpa)
    foreign = (
        b"\\data\\\nngram 1=4\nngram 2=2\n\n\\1-grams:\n-1 <unk>\n-99 <s> -0.3\n-0.5 a -0.2\n-0.7 </s>\n\n"
    )
    foreign += b"\\2-grams:\n-0.2 <s> a\n-0.4 a </s>\n\n\\end\\\n"
    yield Subject("ARPA of others", ".arpa", foreign, TEXT, _use_arpa)
    yield Subject("ARPA compressed", ".gz", gzip.compress(foreign), ANY_BYTES, _use_arpa)


def _use_arpa(path: Path) -> None:
    model, tokenizer = read_arpa(path)
    check_shapes(model, tokenizer)
    use(TextModel(model, tokenizer, path, {}))


# Files of run folders


def _run_files(folder: Path) -> Iterator[Subject]:
    ids = folder / "ids.npy"
    write_tokens(ids, [np.arange(60) % 200], 200)
    yield Subject("token file", ".npy", ids.read_bytes(), TEXT, _use_tokens)
    saved = {
        "corpus": "cats",
        "tokenizer": _tokenizer("word").to_json(),
        "parts": {
            part: dict.fromkeys(("tokens", "unknown_tokens", "characters", "bytes", "words"), 7)
            for part in ("train", "valid")
        },
    }
    yield Subject("prepared.json", ".json", json.dumps(saved).encode(), JSON, _use_prepared)
    run = RunFolder(folder / "mixture")
    run.valid_tokens.parent.mkdir(parents=True)
    write_tokens(run.valid_tokens, [np.arange(8) % 5], 5)
    models = [uniform_model(5), uniform_model(5)]
    fitted_weights(run, models, [ids, ids])

    def use_mixture(path: Path) -> None:
        path.replace(run.mixture)
        weights = fitted_weights(run, models, [ids, ids]).whole
        mixed = MixtureModel(models, weights)
        assert np.isfinite(mixed.predict(mixed.start(1))).all()

    yield Subject("mixture.json", ".json", run.mixture.read_bytes(), JSON, use_mixture)


def _use_tokens(path: Path) -> None:
    ids = read_tokens(path, 200)
    assert ids.ndim == 1
    assert ids.max(initial=0) < 200


def _use_prepared(path: Path) -> None:
    run = RunFolder(path.parent / "prepared")
    run.prepared.parent.mkdir(parents=True, exist_ok=True)
    path.replace(run.prepared)
    prepared = load_prepared(run)
    assert prepared.train.bits_per_character(1.0) is None or prepared.train.tokens > 0


# Texts


def _texts() -> Iterator[Subject]:
    text = CORPUS.encode()
    records = b"".join(json.dumps({"text": line, "n": [1]}).encode() + b"\n" for line in CORPUS.split("\n"))
    yield Subject("JSON Lines", ".jsonl", records, TEXT, _use_records)
    lines = CORPUS.split("\n")
    array = json.dumps([{"text": line, "n": [1]} for line in lines]).encode()
    yield Subject("JSON array", ".json", array, JSON, _use_any_text)
    for suffix, delimiter in ((".csv", ","), (".tsv", "\t")):
        rows = "".join(f'{place}{delimiter}"{line}"\n' for place, line in enumerate(lines))
        yield Subject("table", suffix, f"id{delimiter}text\n{rows}".encode(), TEXT, _use_any_text)
    page = "".join(
        f"<p class='a'>{line}&amp;<br></p><!-- x --><script>a<b</script>" for line in lines
    ).encode()
    yield Subject("page", ".html", page, TEXT, _use_any_text)
    word = "<w>" + "".join(f"<p><t>{line}</t><tab/></p>" for line in lines) + "</w>"
    yield Subject("document", ".docx", _docx(word), ANY_BYTES, _use_any_text)
    for encoding in ("utf-16", "cp1252"):
        yield Subject(encoding, ".txt", CORPUS.encode(encoding, "replace"), ANY_BYTES, _use_any_text)
    for kind in (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED):
        yield Subject("zip as a folder", ".zip", _zipped(text, kind), ANY_BYTES, _use_any_text)
    for suffix, mode in ((".tar", "w"), (".tar.gz", "w:gz"), (".tar.xz", "w:xz")):
        yield Subject("tar as a folder", suffix, _tarred(text, mode), ANY_BYTES, _use_any_text)
    for suffix, compressed in [
        (".gz", gzip.compress(text)),
        (".bz2", bz2.compress(text)),
        (".xz", lzma.compress(text)),
        (".zst", zstandard.compress(text)),
    ]:
        yield Subject(f"text {suffix}", suffix, compressed, ANY_BYTES, _use_text)
    for kind in (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED, zipfile.ZIP_BZIP2, zipfile.ZIP_LZMA):
        yield Subject(f"zip {kind}", ".zip", _zipped(text, kind), ANY_BYTES, _use_archive)
    for mode in ("w", "w:gz", "w:bz2", "w:xz"):
        yield Subject(f"tar {mode}", ".tar", _tarred(text, mode), ANY_BYTES, _use_archive)
    recipe = (
        b'description = "cats"\nlicence = "none"\nhomepage = "https://example.org"\nsplit_bytes = [9, 8, 7]\n'
        b'[split]\nvalid = 0.1\ntest = 0.2\n[counts.whole]\ncharacters = 9\n[[variants]]\narchive = "a.zip"\n'
        b'address = "https://example.org/a.zip"\ntrain = "cats/a.txt"\nvalid = "cats/b.txt"\n'
        b'[sha256]\n"a.zip" = "%s"\n' % (b"0" * 64)
    )
    yield Subject("recipe", ".toml", recipe, TEXT, _use_recipe)


def _zipped(text: bytes, kind: int) -> bytes:
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w", kind) as archive:
        archive.writestr("../a.txt", text)
        archive.writestr("cats/a.txt", text)
    return file.getvalue()


def _tarred(text: bytes, mode: str) -> bytes:
    file = io.BytesIO()
    with tarfile.open(fileobj=file, mode=mode, format=tarfile.PAX_FORMAT) as archive:  # type: ignore[call-overload]
        for name in ("é" * 120 + ".txt", "./cats/a.txt"):
            entry = tarfile.TarInfo(name)
            entry.size = len(text)
            archive.addfile(entry, io.BytesIO(text))
    return file.getvalue()


def _use_text(path: Path) -> None:
    _read(file_blocks(path))


def _use_archive(path: Path) -> None:
    _read(member_blocks(path, "cats/a.txt"))


def _docx(document: str) -> bytes:
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("word/document.xml", document)
    return file.getvalue()


def _use_any_text(path: Path) -> None:
    size = 0
    for chunk in open_text(str(path), field="text").chunks():
        size += len(chunk)
        if size > MOST_TEXT:
            return


def _use_records(path: Path) -> None:
    for _ in json_lines(decoded(file_blocks(path), str(path)), "text", str(path)):
        pass


def _read(blocks: Iterator[bytes]) -> None:
    size = 0
    for block in blocks:
        size += len(block)
        if size > MOST_TEXT:
            return


def _use_recipe(path: Path) -> None:
    recipe = read_recipe(path)
    for variant in recipe.variants:
        for name in (*variant.files(), *filter(None, variant.members())):
            assert (Path("/folder") / name).resolve().is_relative_to("/folder")
        assert variant.address is None or variant.address.startswith(("https://", "http://"))
