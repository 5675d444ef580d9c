"""
A language model with its tokenizer: text in, text and figures out. What `lmgen.load` gives.

The work is done in models/, evaluation/, generation/ and inspection/. Each method is one call of theirs, and
imports them only when it is called. Methods stand by families:

  opened.py      the model, its file and run, and the texts that it reads: what the others are built on
  weights.py     a network's weights
  completing.py  completions and next tokens, of models that adapt as well
  scoring.py     perplexity, minimal pairs, answers
  inspecting.py  states, gates, gradients
"""

from lmgen.text_model.completing import Completing
from lmgen.text_model.inspecting import Inspecting
from lmgen.text_model.opened import DEVICES, read_by_each
from lmgen.text_model.scoring import Scoring
from lmgen.text_model.weights import WithWeights

__all__ = ["DEVICES", "TextModel", "read_by_each"]


class TextModel(Completing, Scoring, Inspecting, WithWeights):
    """A model in use: `model.sample("def ")`, `model.score(text)`, `model.next("To be or not to")`."""

    __slots__ = ()
