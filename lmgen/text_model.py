"""
A language model with its tokenizer: text in, text and figures out. What `lmgen.load` gives.

The work is in models/, evaluation/ and generation/; each method here is one call of theirs, imported with it.
"""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from lmgen.data.run_folder import RunFolder, find_model
from lmgen.errors import ModelError
from lmgen.generation.config import SamplingConfig
from lmgen.models.base import LanguageModel
from lmgen.models.model_file import load_model, save_model
from lmgen.models.network.compression import Weights
from lmgen.models.network.model import RecurrentModel
from lmgen.tokenizers.base import Tokenizer

if TYPE_CHECKING:
    from lmgen.evaluation.mixing import FittedWeights
    from lmgen.evaluation.perplexity import TextScore
    from lmgen.generation.completion import Completion
    from lmgen.generation.next import NextToken
    from lmgen.models.ngram.model import NgramModel


@dataclass(frozen=True, slots=True)
class TextModel:
    """
    A model in use: `model.sample("def ")`, `model.score(text)`, `model.next("To be or not to")`.
    """

    model: LanguageModel
    tokenizer: Tokenizer
    path: Path
    """The model file."""

    training: dict[str, Any]
    """What the file says of the training: corpus, steps, losses."""

    weights: str = "float32"
    """How the file stores a network's weights; they are float32 once it is open."""

    @classmethod
    def load(cls, path: str | Path | None = None) -> "TextModel":
        """
        Open a run folder, a model file, or (None) the newest run under `checkpoints/`.

        Raises:
            ModelError: there is none, or it is damaged or of a newer format.
        """
        file = find_model(None if path is None else Path(path))
        saved = load_model(file)
        return cls(saved.model, saved.tokenizer, file, dict(saved.training), saved.weights)

    @property
    def run(self) -> RunFolder | None:
        """The run folder that the model lies in; None for a model file on its own."""
        folder = RunFolder(self.path.parent)
        return folder if folder.config.exists() and self.path == folder.model else None

    def baseline(self, order: int | None = None) -> "NgramModel":
        """
        The n-gram baseline of the model's run; one of another order is fitted anew on the same tokens.

        Raises:
            ModelError: the model is not in a run folder, or its run has no baseline and no order is given.
        """
        from lmgen.evaluation.baseline import open_baseline

        if self.run is None:
            raise ModelError(
                f"there is no n-gram baseline: {self.path} is not in a run folder; name the folder"
            )
        return open_baseline(self.run, self.tokenizer, order)

    def mixing_weights(self) -> "FittedWeights":
        """
        The weights of this model and the stored baseline of its run, fitted on the run's validation text.

        Raises:
            ModelError: the model is not in a run folder, or its run has no baseline.
        """
        from lmgen.evaluation.mixing import fitted_weights

        baseline = self.baseline()
        assert self.run is not None
        return fitted_weights(self.run, [self.model, baseline], [self.path, self.run.ngram])

    def mixed(self) -> "TextModel":
        """
        This model mixed with the stored baseline of its run.

        Raises:
            ModelError: there is no such baseline.
        """
        from lmgen.models.mixture import MixtureModel

        weights = self.mixing_weights().whole
        return replace(self, model=MixtureModel([self.model, self.baseline()], weights))

    def sample(
        self, prompt: str = "", *, stop: Sequence[str] = (), echo: bool = True, **settings: Any
    ) -> str:
        """
        Complete a text: `model.sample("def ", length=200, temperature=0.8)`.

        Args:
            prompt: the unfinished text; none: from scratch.
            stop: texts to end before.
            echo: begin the result with the prompt.
            settings: `length`, `temperature`, `top_k`, `top_p`, `min_p`, `repetition_penalty`, `seed`, as in
                generation/config.py.
        """
        [completion] = self.complete([prompt], stop=stop, **settings)
        return prompt + completion.text if echo else completion.text

    def complete(
        self,
        prompts: Iterable[str],
        *,
        num: int = 1,
        lines: bool = False,
        stop: Sequence[str] = (),
        first: int = 0,
        **settings: Any,
    ) -> "Iterator[Completion]":
        """
        Complete each of many texts `num` times, many side by side; results come in order.

        With `lines`, a completion also ends at the end of its line. `first` is how many completions earlier
        calls have given that this one, with the same seed, goes on from.
        """
        from lmgen.generation.sampler import complete

        config = SamplingConfig(**settings)
        return complete(
            self.model, self.tokenizer, prompts, config, num=num, lines=lines, stop=stop, first=first
        )

    def stream(self, prompt: str = "", *, stop: Sequence[str] = (), **settings: Any) -> Iterator[str]:
        """Complete a text piece by piece, as it is generated; `length=0` never ends."""
        from lmgen.generation.sampler import stream

        return stream(self.model, self.tokenizer, prompt, SamplingConfig(**settings), stop=stop)

    def next(self, text: str, top: int = 10) -> "list[NextToken]":
        """P(v | text): the `top` likeliest next tokens, best first."""
        from lmgen.generation.next import next_tokens

        return next_tokens(self.model, self.tokenizer, text, top)

    def score(self, text: str, *, exact: bool = False) -> "TextScore":
        """
        How well the model predicts a text: nats, perplexity, bits per character.

        Args:
            text: at least one token.
            exact: one stream from first to last token, where long texts are otherwise read in parallel ones.

        Raises:
            CorpusError: the text is empty.
        """
        from lmgen.evaluation.perplexity import score_text

        return score_text(self.model, self.tokenizer, [text], "text", exact=exact)

    def export(self, path: str | Path, *, to: Weights = "int8", overwrite: bool = False) -> "TextModel":
        """
        Write a network with its weights in 2 bytes each (`float16`) or 1 (`int8`), and open that file.

        Args:
            path: the file; it is a model like any other.
            to: how the weights are stored (models/network/compression.py).
            overwrite: replace a file that is there.

        Raises:
            ConfigError: `to` is something else.
            ModelError: this is no network, the file exists, or a weight is too large for float16.
        """
        if not isinstance(self.model, RecurrentModel):
            raise ModelError(
                f"{self.path} is {self.model.name}, but {to} is for the weights of a recurrent network; the "
                "tables of an n-gram model are compact already"
            )
        out = Path(path)
        if out.exists() and not overwrite:
            raise ModelError(f"{out} is there already; replace it (overwrite) or give another name")
        save_model(out, self.model, self.tokenizer, self.training, to)
        return TextModel.load(out)

    def describe(self) -> dict[str, Any]:
        """What the model is, as JSON values: what `lmgen info --json` prints."""
        return {
            "model": str(self.path),
            "bytes": self.path.stat().st_size,
            "tokenizer": self.tokenizer.name,
            "weights": self.weights,
            **self.model.describe(),
            "training": self.training,
        }
