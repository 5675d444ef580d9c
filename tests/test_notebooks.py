"""lmgen in a notebook: what it prints and shows, event loops and threads, a cell that is stopped."""

import asyncio
import io
import signal
import subprocess
import sys
import threading
from pathlib import Path

import pytest

import lmgen
from lmgen.evaluation.results import TextScore
from lmgen.evaluation.tables import Scores
from lmgen.runs.events import Event, Started
from lmgen.text.sources import Text
from lmgen.text_model import TextModel
from lmgen.training.events import Evaluated, Stepped
from tests.process import ENVIRONMENT
from tests.test_python import TEXT, TINY, folder, model

__all__ = ["folder", "model"]  # fixtures


def test_events_are_printed_as_lines(capsys: pytest.CaptureFixture[str]) -> None:
    lmgen.train(TEXT, on_event=print, **TINY)
    lines = capsys.readouterr().out.splitlines()

    assert lines[0].startswith("prepared  texts: ")
    assert any(line.startswith("evaluated step 2, epoch ") for line in lines)
    assert lines[-1].startswith("finished  4 steps in ")
    assert max(map(len, lines)) < 120


def test_notebooks_show_scores_as_tables(model: TextModel) -> None:
    [score] = model.perplexity(Text("<b>&", lambda: iter(["<b>&\n"])))
    assert isinstance(score, TextScore)
    page = score._repr_html_()
    by_token = model.score("<b>&\n" * 40, by="token")

    assert "<td>&lt;b&gt;&amp;</td>" in page
    assert "<b>" not in page
    assert "<th>perplexity</th>" in page
    assert page.count("<tr>") == 2
    assert isinstance(by_token, Scores)
    table = by_token._repr_html_()
    assert "<unk>" not in table
    assert "<td>&lt;unk&gt;</td>" in table
    assert table.endswith("<p>and 100 more</p>")


def test_training_works_in_a_thread_of_a_notebook() -> None:
    """Where an event loop runs, standard output is no file, and there are no signals."""
    trained: list[TextModel] = []

    async def cell() -> None:
        printed, sys.stdout = sys.stdout, io.StringIO()
        try:
            trained.append(lmgen.train(TEXT, out="here", on_event=print, **TINY))
            thread = threading.Thread(
                target=lambda: trained.append(lmgen.train(TEXT, out="there", on_event=print, **TINY))
            )
            thread.start()
            thread.join()
        finally:
            sys.stdout = printed

    asyncio.run(cell())
    assert trained[0].path.read_bytes() == trained[1].path.read_bytes()


@pytest.mark.parametrize("kind", [Started, Stepped, Evaluated])
def test_a_notebook_that_is_stopped_keeps_the_run(kind: type) -> None:
    """By KeyboardInterrupt in the callback, or by a signal within an event loop."""
    whole = lmgen.train(TEXT, out="whole", **TINY)

    def stop(event: Event) -> None:
        if isinstance(event, kind):
            raise KeyboardInterrupt

    def signalled(event: Event) -> None:
        if isinstance(event, kind):
            signal.raise_signal(signal.SIGINT)

    async def cell() -> None:
        lmgen.train(TEXT, out="signalled", on_event=signalled, **TINY)

    with pytest.raises(KeyboardInterrupt):
        lmgen.train(TEXT, out="stopped", on_event=stop, **TINY)
    with pytest.raises(KeyboardInterrupt):
        asyncio.run(cell())
    for run in ("stopped", "signalled"):
        assert lmgen.resume(run).path.read_bytes() == whole.path.read_bytes()


ANYWHERE = """
import signal, threading, lmgen
from tests.test_python import TEXT, TINY

def interrupt(number, frame):  # a notebook's own way to stop a cell
    raise KeyboardInterrupt

signal.signal(signal.SIGINT, interrupt)
settings = {**TINY, "steps": 10**6, "evaluations": 100}
events = iter(range(10**6))

def show(event):
    if next(events) == 30:
        threading.Timer(0.01, signal.raise_signal, [signal.SIGINT]).start()

try:
    lmgen.train(TEXT, out="run", on_event=show, **settings)
except KeyboardInterrupt as stopped:
    print(stopped)
lmgen.resume("run", steps=10)
print("resumed")
"""


def test_a_run_that_is_interrupted_anywhere_can_be_resumed(folder: Path) -> None:
    """Where a program handles Ctrl-C itself and raises KeyboardInterrupt at once, inside an update."""
    root = Path(__file__).parents[1]
    result = subprocess.run(
        [sys.executable, "-c", ANYWHERE],
        cwd=folder,
        capture_output=True,
        text=True,
        check=False,
        timeout=120,
        env={**ENVIRONMENT, "PYTHONPATH": str(root)},
    )

    assert result.stdout.splitlines() == [
        "lmgen.resume('run') goes on from the last checkpoint",
        "resumed",
    ], result.stderr
