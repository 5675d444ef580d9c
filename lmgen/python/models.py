"""Open models, and list the cells that networks are made of."""

from pathlib import Path

from lmgen.label_model import LabelModel
from lmgen.models.network.recurrent import CellDescription, described_cells
from lmgen.text_model import TextModel


def load(path: str | Path | None = None) -> TextModel:
    """
    Open a run folder, a model file, or, for None, the newest under `checkpoints/`. Does not import torch.

    Raises:
        ModelError: there is no model, or it is damaged or has a newer format.
    """
    return TextModel.load(path)


def load_labels(path: str | Path | None = None) -> LabelModel:
    """
    Open a model that labels texts: a run folder or a model file, as in `load`. Does not import torch.

    Raises:
        ModelError: as `load`, or it is a language model.
    """
    return LabelModel.load(path)


def list_cells() -> list[CellDescription]:
    """List all recurrent cells, each with its equations, its source and its number of parameters."""
    return described_cells()
