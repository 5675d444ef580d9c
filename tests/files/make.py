"""
Write model files and half-trained runs for the tests: `python -m tests.files.make FOLDER`, at the root.

The files beside this script were written by lmgen 0.1.0. They must not be replaced, since later versions have
to read them; when a format changes, files of the new one are added.

    network-1-*.safetensors      a network of every cell, every tokenizer and every kind of output
    network-4-*.safetensors      networks of later layers, and one over lines, of texts in a normal form
    ngram-1-word.safetensors     an n-gram model that knows where lines begin and end
    ngram-4-sentencepiece.safetensors    one over the tokens of a SentencePiece model made elsewhere
    runs/NAME/half               a run folder whose training was interrupted after its first evaluation
    runs/NAME/whole              the model and the metrics of the same training when it has ended
"""

import shutil
import signal
import sys
from pathlib import Path
from tempfile import TemporaryDirectory

from tests.process import COMMAND, Running, run_command, wait_for
from tests.sentences import sentences
from tests.tokenizers.sentencepiece_models import model

TRAINING = "--window-length 8 --batch-size 4 --steps 60 --threads 1 --device cpu"
SIZES = "--hidden-size 8 --embedding-size 6 --baseline-order 0"
RUN_SIZES = "--hidden-size 6 --embedding-size 4 --baseline-order 2 --evaluations 6"

LATER_CELLS = [
    *("lstm-1997", "lstm-peephole-full", "lstm-coupled", "lstm-coupled-rmsnorm", "gru-reset-before", "dsgu"),
    *("rnn-leaky-relu", "rnn-elu", "rnn-softplus"),
]

NETWORKS = {
    "1-lstm": "--layers 2",
    "1-gru": "--cell gru --layers 3 --residual --vocab-size 20",
    "1-rnn": "--cell rnn --tokenizer byte",
    "1-rnn-relu": "--cell rnn-relu --tokenizer bpe --vocab-size 300 --learning-rate 0.002",
    "1-rnn-sigmoid": "--cell rnn-sigmoid --tokenizer word --min-count 20 --lowercase",
    "1-lstm-peephole": "--cell lstm-peephole --tokenizer word --output adaptive --cutoffs 8,16",
    "1-lstm-layernorm": "--cell lstm-layernorm --tokenizer word --layers 2 --last-hidden-size 7 --tied",
    "1-unigram": "--cell gru --tokenizer unigram --tied --layers 2 --weight-drop 0.2",
    **{f"1-{cell}": f"--cell {cell}" for cell in LATER_CELLS},
    "4-line": "--unit line --normalize nfc",
    "4-convolution": "--convolution 3x6,2x5 --convolution-activation elu",
    "4-window": "--layers 0 --convolution 4x6 --dense-layers 1 --dense-activation softplus",
    "4-dense": "--layers 0 --dense-layers 2 --dense-size 7 --embedding-size 8",
    "4-attention": "--attention 4 --cell gru --layers 2",
    "5-ngrams": "--ngram-embedding 3 --ngram-rows 20",
}
"""The flags of each, by the name of its file without `network-`."""

RUNS = {
    "lstm-char": "--precision float64 --vary-window-length --optimizer adamw --dropout 0.2",
    "gru-word": (
        "--cell gru --tokenizer word --layers 2 --tied --optimizer adam --ema 0.9 --dropout-input 0.1"
    ),
}


def main(folder: Path) -> None:
    """Make all files in a new folder."""
    folder.mkdir(parents=True)
    with TemporaryDirectory() as work:
        text = Path(work, "sentences.txt")
        text.write_text(sentences(200), encoding="utf-8")
        for name, flags in NETWORKS.items():
            lmgen(f"train {text.name} --out {name} {TRAINING} {SIZES} {flags}", text.parent)
            shutil.copy(text.parent / name / "model.safetensors", folder / f"network-{name}.safetensors")
        ngram = folder.absolute() / "ngram-1-word.safetensors"
        lmgen(f"ngram {text.name} --tokenizer word --order 3 --out {ngram}", text.parent)
        Path(work, "pieces.model").write_bytes(model("as-llama"))
        ngram = folder.absolute() / "ngram-4-sentencepiece.safetensors"
        lmgen(f"ngram {text.name} --tokenizer-file pieces.model --order 3 --out {ngram}", text.parent)
        for name, flags in RUNS.items():
            half_and_whole(text, name, f"{TRAINING} {RUN_SIZES} {flags}", folder / "runs" / name)


def half_and_whole(text: Path, name: str, flags: str, folder: Path) -> None:
    """Interrupt a training after its first evaluation, keep its run folder, then train to the end."""
    with Running("train", text.name, "--out", name, *flags.split(), cwd=text.parent) as process:
        wait_for(r" +10 ", process)
        process.send_signal(signal.SIGINT)
        process.communicate()
    assert process.returncode == 130, "it had ended before it could be interrupted"
    run = text.parent / name
    shutil.copytree(run, folder / "half", ignore=shutil.ignore_patterns(".lock", "previous.safetensors"))
    lmgen(f"train --resume --out {name}", text.parent)
    (folder / "whole").mkdir()
    for file in ("model.safetensors", "metrics.jsonl"):
        shutil.copy(run / file, folder / "whole")


def lmgen(arguments: str, cwd: Path) -> None:
    """Run a command in a folder, so that a run's settings name its text without a path."""
    run_command([*COMMAND, *arguments.split()], cwd=cwd, check=True)


if __name__ == "__main__":
    main(Path(sys.argv[1]))
