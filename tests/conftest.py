"""What holds for all tests."""

import os
import signal

import pytest

# One thread for numpy and for torch: here, in each worker of pytest-xdist and in every command that a test
# starts. Pools of spinning threads in several processes slow everything down tenfold. Said before either is
# imported.
os.environ.update(OMP_NUM_THREADS="1", OPENBLAS_NUM_THREADS="1")

# A shell that runs the tests in the background has them ignore Ctrl-C, nohup the end of the terminal, and so
# would every command that they start. What a process handles is back to the default in those it starts.
signal.signal(signal.SIGINT, signal.default_int_handler)
if hasattr(signal, "SIGHUP") and signal.getsignal(signal.SIGHUP) is signal.SIG_IGN:
    signal.signal(signal.SIGHUP, lambda number, frame: None)


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """
    Begin with the slow tests where several workers share them, so that none is left to one worker at the end.

    Workers take test after test (`--dist loadgroup`), whatever file it is in: sharing out whole files would
    leave one worker with the longest, and what a file's tests share is made in a second or less. Those that
    have to run in turn, or share what costs more, say so: `xdist_group`.
    """
    if hasattr(config, "workerinput"):
        items.sort(key=lambda item: item.get_closest_marker("slow") is None)
