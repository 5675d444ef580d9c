"""Memory that a process freed serves it again."""

import subprocess
import sys

import pytest

ALLOCATE = """
import resource
import torch
from lmgen.training.memory import keep_freed_memory
if {keep}:
    keep_freed_memory()
for step in range(12):
    if step == 4:
        before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
    arrays = None
    arrays = [torch.zeros(2_000_000) for _ in range(8)]
print(resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before)
"""


@pytest.mark.skipif(sys.platform != "linux", reason="only glibc can be told to keep memory")
def test_freed_memory_is_used_again_without_asking_the_system() -> None:
    """Counted in page faults, of which 64 MB in fresh pages cost many each time."""
    kept, returned = (
        int(
            subprocess.run(
                [sys.executable, "-c", ALLOCATE.format(keep=keep)], capture_output=True, check=True
            ).stdout
        )
        for keep in (True, False)
    )
    assert kept < returned / 10
