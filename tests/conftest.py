"""What holds for all tests."""

import atexit
import os
import signal
from collections.abc import Iterator
from tempfile import TemporaryDirectory
from typing import Any

import hypothesis
import pytest

# A test is no measurement of time: on a busy machine any example may take a second.
hypothesis.settings.register_profile("untimed", deadline=None)
hypothesis.settings.load_profile("untimed")

# One thread for numpy and for torch: here, in each worker of pytest-xdist and in every command that a test
# starts. Pools of spinning threads in several processes slow everything down tenfold. Said before either is
# imported.
os.environ.update(OMP_NUM_THREADS="1", OPENBLAS_NUM_THREADS="1")

# Corpora that whoever runs the tests has downloaded are none of theirs.
_CACHE = TemporaryDirectory(prefix="lmgen-cache-")
atexit.register(_CACHE.cleanup)
os.environ["XDG_CACHE_HOME"] = _CACHE.name

# A shell that runs the tests in the background has them ignore Ctrl-C, nohup the end of the terminal, and so
# would every command that they start. What a process handles is back to the default in those it starts.
signal.signal(signal.SIGINT, signal.default_int_handler)
if hasattr(signal, "SIGHUP") and signal.getsignal(signal.SIGHUP) is signal.SIG_IGN:
    signal.signal(signal.SIGHUP, lambda number, frame: None)


IN_TURN = ("tests/test_package.py",)
"""Files whose tests build on each other, or share what costs much: one worker runs all of them, in order."""


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Begin with the slow tests where several workers share them, so that none is left to one at the end."""
    if hasattr(config, "workerinput"):
        items.sort(key=lambda item: item.get_closest_marker("slow") is None)


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_make_scheduler(config: pytest.Config, log: Any) -> Any:
    """
    Share out single tests, but whole files of IN_TURN.

    Sharing out all files whole would leave one worker with the longest. (xdist's own `--dist loadgroup` gives
    tests other names, which pytest 9.2 ignores.)
    """
    from xdist.scheduler import LoadScopeScheduling

    class Scheduling(LoadScopeScheduling):  # type: ignore[misc]
        def _split_scope(self, nodeid: str) -> str:
            file = nodeid.split("::")[0]
            return file if file in IN_TURN else nodeid

    return Scheduling(config, log)


@pytest.fixture(scope="module")
def browser() -> Iterator[Any]:
    """Chromium, for pages; tests that use it have the MARKS of browsing.py."""
    from tests.browsing import started_browser

    with started_browser() as started:
        yield started
