"""Models that adapt side by side share the work of reading a text."""

from typing import Any

import numpy as np
import pytest

from lmgen.evaluation.adapting import AdaptingModels
from lmgen.evaluation.scoring import measure_each
from lmgen.models.adapting import Adapting, AdaptingConfig, CacheConfig
from lmgen.models.base import LanguageModel
from lmgen.models.cache import NetworkAndCache
from lmgen.models.network.config import NetworkConfig
from lmgen.models.network.initialization import initial_parameters
from lmgen.models.network.model import RecurrentModel
from lmgen.settings import from_mapping
from lmgen.tokenizers.characters import CharacterTokenizer
from lmgen.training.adapting import AdaptingNetwork

TOKENIZER = CharacterTokenizer("\nabc")
V = TOKENIZER.vocabulary_size
IDS = np.random.default_rng(3).integers(1, V, 5000)
TEXTS = {"one long text": [IDS], "lines": np.split(IDS[:200], [30, 31, 90])}


def models(*, in_step: bool, across: bool) -> list[LanguageModel]:
    config = from_mapping(NetworkConfig, {"hidden_size": 4, "embedding_size": 4}, "a test")
    network = RecurrentModel(config, V, 0, initial_parameters(config, V, unknown=None, seed=2))
    adapting = Adapting(config=AdaptingConfig(every=64), cache=CacheConfig(size=50), across=across)
    found = AdaptingModels(
        network, None, TOKENIZER, None, adapting, mix=False, in_step=in_step, on_note=lambda _: None
    )
    return found.for_text(validation=False)


@pytest.mark.parametrize("across", [False, True])
@pytest.mark.parametrize("texts", TEXTS.values(), ids=TEXTS.keys())
def test_each_token_is_read_once_by_all_together(
    texts: list[Any], across: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    apart = [measure_each(model, texts) for model in models(in_step=False, across=across)]
    read = {AdaptingNetwork: 0, NetworkAndCache: 0}

    def counted(kind: Any, method: str) -> None:
        plain = getattr(kind, method)

        def reading(model: Any, state: Any, ids: Any) -> Any:
            read[kind] += len(ids)
            return plain(model, state, ids)

        monkeypatch.setattr(kind, method, reading)

    counted(AdaptingNetwork, "score")
    counted(AdaptingNetwork, "predict_each")
    counted(NetworkAndCache, "score")  # token by token where all that may come are asked for
    shared = models(in_step=True, across=across)
    together = [measure_each(model, texts) for model in shared]

    assert [model.name for model in shared] == ["lstm+cache", "lstm+adapt", "lstm+adapt+cache"]
    assert set(read.values()) == {sum(map(len, texts))}
    for ours, theirs in zip(together, apart, strict=True):
        for own, other in zip(ours, theirs, strict=True):
            assert own.nats == pytest.approx(other.nats, abs=1e-4)  # by another product in float32
