"""Threads are those that were asked for, and memory that a process freed serves it again."""

import subprocess
import sys

import pytest
import torch
from threadpoolctl import threadpool_info, threadpool_limits

from lmgen.training.process import computing

ALLOCATE = """
import resource
import torch
from lmgen.training.process import keep_freed_memory
keep_freed_memory()
for step in range(12):
    if step == 4:
        before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
    arrays = None
    arrays = [torch.zeros(2_000_000) for _ in range(8)]
print(resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before)
"""


@pytest.mark.slow
@pytest.mark.skipif(sys.platform != "linux", reason="only glibc can be told to keep memory")
def test_freed_memory_is_used_again_without_asking_the_system() -> None:
    """Counted in page faults: 8 times 64 MB from fresh pages would be 125,000."""
    run = subprocess.run([sys.executable, "-c", ALLOCATE], capture_output=True, check=True)

    assert int(run.stdout) < 1000


def threads_of_numpy() -> list[int]:
    return [library["num_threads"] for library in threadpool_info() if library["internal_api"] == "openblas"]


def test_torch_has_the_threads_that_are_asked_for_and_numpy_one() -> None:
    before, of_numpy = torch.get_num_threads(), threads_of_numpy()
    with threadpool_limits(2), computing(3):
        assert torch.get_num_threads() == 3
        assert set(threads_of_numpy()) <= {1}
        with computing(None):
            assert torch.get_num_threads() == 3
        assert set(threads_of_numpy()) <= {1}
    assert (torch.get_num_threads(), threads_of_numpy()) == (before, of_numpy)
