"""
Ask `lmgen serve` with the client of lm-evaluation-harness, and compare with lmgen's own scores.

    pip install "lm-eval[api]"
    python -m benchmarks.harness checkpoints/demo

The client is its `local-completions` as it is, with the tokenizer that it finds at the server. It asks for
the loglikelihoods of minimal pairs, "The function is used" and "The function are used", one request after
the other and eight at once; printed are how often the good sentence is likelier, by the harness and by
`TextModel.score`, and the largest difference between the two scores of a sentence, relative to the score.
"""

import argparse
import math
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import lmgen
from benchmarks.serving import served
from lmgen.text_model import TextModel

NOUNS = ("statement", "function", "class", "method", "module", "value", "object", "expression")
VERBS = (("is used", "are used"), ("has been", "have been"), ("returns", "return"))

SENTENCES = [f"The {noun} {verb}" for noun in NOUNS for pair in VERBS for verb in pair]
"""Each good sentence, then its bad one."""


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("model", type=Path, help="a run folder or a model file")
    path: Path = parser.parse_args().model
    model = lmgen.load(path)
    own = [own_loglikelihood(model, sentence) for sentence in SENTENCES]
    print("| | pairs | right | largest difference |\n| --- | --- | --- | --- |")
    print(f"| lmgen | {len(own) // 2} | {right(own)} | - |")
    with served(path, 1) as (port, _):
        for at_once in (1, 8):
            found = asked(port, path.name, at_once)
            worst = max(abs(one - other) / abs(other) for one, other in zip(found, own, strict=True))
            print(f"| harness, {at_once} at once | {len(own) // 2} | {right(found)} | {worst:.1e} |")


def asked(port: int, name: str, at_once: int) -> list[float]:
    """The loglikelihoods that the harness finds."""
    from lm_eval.api.instance import Instance
    from lm_eval.models.openai_completions import LocalCompletionsAPI

    client: Any = LocalCompletionsAPI(
        base_url=f"http://127.0.0.1:{port}/v1/completions", model=name, num_concurrent=at_once
    )
    requests = [
        Instance(request_type="loglikelihood", doc={}, arguments=("", sentence), idx=number)
        for number, sentence in enumerate(SENTENCES)
    ]
    return [value for value, _ in client.loglikelihood(requests, disable_tqdm=True)]


def own_loglikelihood(model: TextModel, sentence: str) -> float:
    """That of a sentence at the beginning of a line."""
    tokens = model.score(f"\n{sentence}", by="token", exact=True)
    count = len(model.tokenize(sentence))
    return math.log(10) * math.fsum(each.log10 for each in tokens[1 : 1 + count])


def right(values: Sequence[float]) -> int:
    """How many good sentences are likelier than their bad ones."""
    return sum(good > bad for good, bad in zip(values[::2], values[1::2], strict=True))


if __name__ == "__main__":
    main()
