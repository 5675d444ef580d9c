"""What damaged files once did, and do no more: each by name."""

import base64
import io
import json
import lzma
import tarfile
import zipfile
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from lmgen.data.prepared import load_prepared
from lmgen.data.run_folder import RunFolder
from lmgen.data.token_file import write_tokens
from lmgen.errors import ConfigError, CorpusError, LmgenError, ModelError, NumericalError
from lmgen.evaluation.mixing import fitted_weights
from lmgen.models.model_file import load_model, save_tensors
from lmgen.models.network.config import NetworkConfig
from lmgen.models.ngram.arpa import read_arpa
from lmgen.models.ngram.model import NgramModel
from lmgen.runs.records import cut_lines
from lmgen.text import raw
from lmgen.text.archives import member_blocks
from lmgen.text.raw import file_blocks
from lmgen.text_model import TextModel
from lmgen.tokenizers.characters import CharacterTokenizer
from lmgen.tokenizers.config import TokenizerConfig
from lmgen.tokenizers.registry import tokenizer_from_json, train_tokenizer
from lmgen.tokenizers.sentencepiece_model import Piece, model_of, read_pieces, read_settings
from tests.fakes import uniform_model

DEEP = "[" * 100_000 + "]" * 100_000


def ngram_file(path: Path, changes: dict[str, Any], **header: Any) -> Path:
    """A bigram model with some tensors or parts of its header replaced."""
    tokenizer = CharacterTokenizer("\nab")
    config, tensors = NgramModel.fit(np.array([1, 2, 3, 2, 2, 1]), order=2, vocabulary_size=4).to_tensors()
    saved = {"kind": "ngram", "config": config, "tokenizer": tokenizer.to_json(), "training": {}}
    save_tensors(path, {**tensors, **changes}, {**saved, **header})
    return path


def arpa(path: Path, unigrams: str, bigrams: str = "", counts: str = "ngram 1=3\n") -> Path:
    path.write_text(f"\\data\\\n{counts}\n\\1-grams:\n{unigrams}\n{bigrams}\n\\end\\\n")
    return path


class TestModelFiles:
    def test_a_probability_above_one_is_no_score(self, tmp_path: Path) -> None:
        """Backoffs may be above 0, so such a table loads; what it then says is refused."""
        path = ngram_file(tmp_path / "x.safetensors", {"order.1.backoffs": np.full(5, 900, np.float32)})
        model = TextModel.load(path)

        with pytest.raises(NumericalError, match="its weights are damaged"):
            model.score("bbbabab\n\n")
        with pytest.raises(NumericalError, match="gives NaN or probabilities above 1"):
            model.next("b")

    @pytest.mark.parametrize("value", [np.nan, np.inf, 3e38, -3e38])
    def test_a_logarithm_that_cannot_be_added_up_is_refused(self, value: float, tmp_path: Path) -> None:
        path = ngram_file(tmp_path / "x.safetensors", {"order.1.backoffs": np.full(5, value, np.float32)})

        with pytest.raises(ModelError, match=r"order\.1\.backoffs holds values that are not finite numbers"):
            load_model(path)

    @pytest.mark.parametrize("training", [{"a": json.loads("[" * 100 + "]" * 100)}, {"nats": float("inf")}])
    def test_a_summary_that_cannot_be_written_again_is_refused(
        self, training: dict[str, Any], tmp_path: Path
    ) -> None:
        with pytest.raises(ModelError, match="nested too deep, or holds an infinite number"):
            load_model(ngram_file(tmp_path / "x.safetensors", {}, training=training))

    def test_a_cutoff_of_a_thousand_digits_is_a_wrong_setting(self) -> None:
        with pytest.raises(ConfigError, match="have to be rising numbers"):
            NetworkConfig(output="adaptive", cutoffs="9" * 5_000)

    def test_a_word_that_no_text_can_hold_is_refused(self) -> None:
        saved = {"tokenizer": "word", "words": ["a\ud800"], "lowercase": False, "split_punctuation": False}

        with pytest.raises(ModelError, match="is not a word"):
            tokenizer_from_json(saved)

    @pytest.mark.parametrize(
        ("piece", "message"),
        [
            (Piece("a\0b", 1), "contains a line end or NUL"),  # the library compared it up to there
            (Piece("ab", 1, float("nan")), "a score that is NaN or out of range"),
            (Piece("ab", 1, -3e38), "a score that is NaN or out of range"),
        ],
    )
    def test_a_piece_that_sentencepiece_could_not_take_never_reaches_it(
        self, piece: Piece, message: str
    ) -> None:
        saved = train_tokenizer(lambda: ["the cat sat"], TokenizerConfig(tokenizer="bpe")).to_json()
        whole = base64.b64decode(saved["model"])
        model = model_of([*read_pieces(whole), piece], read_settings(whole))

        with pytest.raises(ModelError, match=message):
            tokenizer_from_json({**saved, "model": base64.b64encode(model).decode()})


class TestRunFolders:
    def test_deep_json_where_the_data_are_described_is_damage(self, tmp_path: Path) -> None:
        run = RunFolder(tmp_path)
        run.prepared.parent.mkdir()
        run.prepared.write_text(DEEP)

        with pytest.raises(ModelError, match="train again with --overwrite"):
            load_prepared(run)

    @pytest.mark.parametrize("line", ["[" * 100_000, "nan", '{"step": "1"}', "[]", "\0", "\ufeff{}"])
    def test_damaged_lines_of_metrics_are_left_out(self, line: str, tmp_path: Path) -> None:
        path = tmp_path / "metrics.jsonl"
        path.write_text('{"step": 1}\n' + line + '\n{"step": 2}\n{"step": 3}\n')
        cut_lines(path, 2)

        assert path.read_text() == '{"step": 1}\n{"step": 2}\n'

    @pytest.mark.parametrize("weights", [DEEP, "[0.5, 0.25, 0.25]", "[NaN, 1.0]", "[1.0]"])
    def test_weights_that_make_no_sense_are_fitted_again(self, weights: str, tmp_path: Path) -> None:
        run = RunFolder(tmp_path)
        run.valid_tokens.parent.mkdir()
        write_tokens(run.valid_tokens, [np.arange(8) % 5], 5)
        models, files = [uniform_model(5), uniform_model(5)], [run.valid_tokens] * 2
        fitted = fitted_weights(run, models, files)
        text = run.mixture.read_text()
        run.mixture.write_text(text.replace(json.dumps(list(fitted.whole)), weights))

        assert fitted_weights(run, models, files) == fitted


class TestArpaFiles:
    @pytest.mark.parametrize("backoff", ["1e300", "inf", "2e5"])
    def test_a_backoff_beyond_all_bounds_is_none(self, backoff: str, tmp_path: Path) -> None:
        with pytest.raises(ModelError, match=r"line 6: '.*' is no backoff"):
            read_arpa(arpa(tmp_path / "x.arpa", f"-1 <unk>\n-1 a {backoff}\n-1 </s>"))

    def test_a_probability_as_good_as_zero_is_zero(self, tmp_path: Path) -> None:
        model, _ = read_arpa(arpa(tmp_path / "x.arpa", "-1e300 <unk>\n-inf a\n-1 </s>"))

        np.testing.assert_allclose(model.tables[0].log_probs[[0, 2]], -99 * np.log(10), rtol=1e-6)

    def test_orders_without_end_are_refused(self, tmp_path: Path) -> None:
        counts = "ngram 1=3\n" + "".join(f"ngram {n}=0\n" for n in range(2, 200))

        with pytest.raises(ModelError, match="an order above 100 are not read"):
            read_arpa(arpa(tmp_path / "x.arpa", "-1 <unk>\n-1 a\n-1 </s>", counts=counts))

    @pytest.mark.slow
    def test_one_long_ngram_gets_its_contexts_in_no_time(self, tmp_path: Path) -> None:
        counts = "ngram 1=3\n" + "".join(f"ngram {n}=0\n" for n in range(2, 100)) + "ngram 100=1\n"
        long = "\\100-grams:\n-0.5 " + " ".join(["a"] * 100)
        model, _ = read_arpa(arpa(tmp_path / "x.arpa", "-1 <unk>\n-1 a\n-1 </s>", long, counts))

        assert model.counts == (4, *[1] * 99)


class TestTexts:
    def test_a_decompression_bomb_is_refused(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(raw, "EXPANSION_ALLOWED", 1 << 20)
        path = tmp_path / "bomb.xz"
        path.write_bytes(lzma.compress(bytes(1 << 25)))

        with pytest.raises(CorpusError, match="decompresses to more than 200 times its own size"):
            sum(map(len, file_blocks(path)))

    def test_xz_gets_no_more_memory_than_it_needs_for_any_text(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(raw, "DECOMPRESSION_BYTES", 1 << 22)
        path = tmp_path / "wide.xz"
        path.write_bytes(lzma.compress(b"text", preset=9))

        with pytest.raises(CorpusError, match=r"wide\.xz is damaged \(Memory usage limit exceeded\)"):
            list(file_blocks(path))

    def test_xz_streams_one_after_another_are_one_text(self, tmp_path: Path) -> None:
        path = tmp_path / "two.xz"
        path.write_bytes(lzma.compress(b"one\n") + bytes(8) + lzma.compress(b"two\n"))

        assert b"".join(file_blocks(path)) == b"one\ntwo\n"

    def test_zip_members_that_take_any_memory_are_refused(self, tmp_path: Path) -> None:
        with zipfile.ZipFile(tmp_path / "x.zip", "w", zipfile.ZIP_LZMA) as archive:
            archive.writestr("text", "one\n")

        with pytest.raises(CorpusError, match="LZMA compression inside a zip file is not supported"):
            list(member_blocks(tmp_path / "x.zip", "text"))

    def test_a_tar_header_is_not_read_into_memory_at_any_length(self, tmp_path: Path) -> None:
        entry = tarfile.TarInfo("name")
        entry.type, entry.size = tarfile.XHDTYPE, 1 << 25
        with tarfile.open(tmp_path / "x.tgz", "w:gz") as archive:
            archive.addfile(entry, io.BytesIO(bytes(entry.size)))

        with pytest.raises(CorpusError, match=r"a header of 33,554,432 bytes"):
            list(member_blocks(tmp_path / "x.tgz", "text"))


def test_every_error_of_these_is_one_line(tmp_path: Path) -> None:
    (tmp_path / "x.safetensors").write_bytes(b"\xff" * 100)

    with pytest.raises(LmgenError) as caught:
        load_model(tmp_path / "x.safetensors")
    assert "\n" not in str(caught.value)
