"""Event files for TensorBoard, by the writer that torch has for them."""

from pathlib import Path
from typing import Any


def event_writer(folder: Path, goes_on_after: int | None = None) -> Any:
    """
    Open a new event file.

    Args:
        folder: where to; TensorBoard reads the files in one folder as one run.
        goes_on_after: what earlier files say of later steps no longer counts; None: they have nothing.

    Raises:
        OSError: it cannot be written.
    """
    from torch.utils.tensorboard import SummaryWriter

    purged = None if goes_on_after is None else goes_on_after + 1
    return SummaryWriter(str(folder), purge_step=purged)
