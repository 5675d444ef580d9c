"""Memory that a process freed serves it again."""

import subprocess
import sys

import pytest

ALLOCATE = """
import resource
import torch
from lmgen.training.memory import keep_freed_memory
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
    """Counted in page faults: 8 times 64 MB from fresh pages would be 125,000."""
    run = subprocess.run([sys.executable, "-c", ALLOCATE], capture_output=True, check=True)

    assert int(run.stdout) < 1000
