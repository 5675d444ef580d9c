"""Running the command as users do: as a process of its own."""

import os
import subprocess
import sys
from pathlib import Path

COMMAND = [sys.executable, "-m", "lmgen"]

ENVIRONMENT = {**os.environ, "OMP_NUM_THREADS": "1", "COLUMNS": "100"}
"""One thread: two pools of spinning threads on two cores slow everything down tenfold."""


def lmgen(*arguments: str, cwd: Path, text: str | None = None) -> subprocess.CompletedProcess[str]:
    """Run `lmgen` in a folder; `text` is what is piped in."""
    return subprocess.run(
        [*COMMAND, *arguments],
        cwd=cwd,
        input=text,
        capture_output=True,
        text=True,
        env=ENVIRONMENT,
        check=False,
        timeout=120,
    )
