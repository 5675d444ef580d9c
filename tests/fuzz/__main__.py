"""
Damage files by the thousand, and see that each ends in a good load or in one LmgenError.

    python -m tests.fuzz --cases 200000 --seed 7
    python -m tests.fuzz --seed 7 --only 1234        one case again, with its traceback
    python -m tests.fuzz --runs --cases 2000         files of run folders, by the commands that read them

A case takes at most 5 seconds, and all of them together no more than 1 GB beyond what Python itself has.
"""

import argparse
import faulthandler
import os
import resource
import signal
import sys
import tempfile
import time
import traceback
import warnings
from collections import Counter
from dataclasses import dataclass
from pathlib import Path
from random import Random
from types import FrameType

from lmgen.errors import LmgenError
from tests.fuzz.subjects import Subject, subjects

SECONDS = 5.0
BYTES = 1 << 30

MOST_FAILURES = 20


class TooSlowError(BaseException):
    """A case has not ended in time; not an Exception, so that nothing on the way mistakes it for its own."""


@dataclass(frozen=True)
class Case:
    """One file, damaged in one way."""

    subject: Subject
    data: bytes
    what: str


def case(found: list[Subject], seed: int, number: int) -> Case:
    """The case of that number: the same for the same seed, whatever came before."""
    random = Random(f"{seed}:{number}")
    subject = found[number % len(found)]
    mutate = random.choice(subject.mutations)
    data, what = mutate(subject.data, random)
    return Case(subject, data, f"{mutate.__name__}: {what}")


def outcome(tried: Case, path: Path) -> str | None:
    """What went wrong with a case, or None; `loaded` and `refused` are both right."""
    path.unlink(missing_ok=True)  # some file systems flush a file that is cut to nothing
    path.write_bytes(tried.data)
    signal.setitimer(signal.ITIMER_REAL, SECONDS)
    try:
        tried.subject.use(path)
    except LmgenError as error:
        return "refused" if str(error) and "\n" not in str(error) else f"not one line: {error}"
    except BaseException as error:
        place = traceback.extract_tb(error.__traceback__)[-1]
        own = [frame for frame in traceback.extract_tb(error.__traceback__) if "lmgen" in frame.filename]
        where = f"{Path(own[-1].filename).name}:{own[-1].lineno}" if own else ""
        raised = f"{Path(place.filename).name}:{place.lineno}"
        return f"{type(error).__name__}: {str(error)[:200]} at {where}, {raised}"
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
    return "loaded"


def run(cases: int, seed: int, folder: Path, found: list[Subject]) -> int:
    """Try so many cases; return how many failed."""
    _limit_memory()
    outcomes: Counter[str] = Counter()
    failures = 0
    slowest = (0.0, 0)
    begun = time.monotonic()
    now = os.open(folder / "case", os.O_WRONLY | os.O_CREAT)
    for number in range(cases):
        os.pwrite(now, b"%12d\n" % number, 0)  # which it was, should Python itself go down
        tried = case(found, seed, number)
        before = time.monotonic()
        result = outcome(tried, folder / f"damaged{tried.subject.suffix}")
        slowest = max(slowest, (time.monotonic() - before, number))
        outcomes[result if result in ("loaded", "refused") else "failed"] += 1
        if result not in ("loaded", "refused"):
            failures += 1
            _say(f"case {number} of seed {seed}, {tried.subject.name}, {tried.what}\n    {result}")
            if failures == MOST_FAILURES:
                break
    os.close(now)
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024
    figures = ", ".join(f"{count:,} {name}" for name, count in sorted(outcomes.items()))
    _say(
        f"{sum(outcomes.values()):,} cases of {len(found)} files in {time.monotonic() - begun:.1f} s: "
        f"{figures}; slowest {slowest[0]:.2f} s (case {slowest[1]}), peak memory {peak} MB"
    )
    return failures


def _say(text: str) -> None:
    sys.stdout.write(text + "\n")


def _limit_memory() -> None:
    pages = int(Path("/proc/self/statm").read_text().split()[0])
    limit = pages * resource.getpagesize() + BYTES
    resource.setrlimit(resource.RLIMIT_AS, (limit, limit))


def _too_slow(number: int, frame: FrameType | None) -> None:
    raise TooSlowError(f"no end after {SECONDS:g} s")


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--cases", type=int, default=20_000)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--only", type=int, help="try this case alone")
    parser.add_argument("--runs", action="store_true", help="files of run folders, by commands")
    parser.add_argument("--folder", type=Path, help="where the files are made (a temporary folder)")
    arguments = parser.parse_args()
    faulthandler.enable()
    signal.signal(signal.SIGALRM, _too_slow)
    warnings.simplefilter("ignore")  # numbers overflow, and that is checked where they come out
    with tempfile.TemporaryDirectory() as temporary:
        folder = arguments.folder or Path(temporary)
        if arguments.runs:
            from tests.fuzz.runs import run_subjects

            found = run_subjects(folder)
        else:
            found = subjects(folder)
        if arguments.only is not None:
            tried = case(found, arguments.seed, arguments.only)
            _say(f"{tried.subject.name}, {tried.what}")
            path = folder / f"damaged{tried.subject.suffix}"
            path.write_bytes(tried.data)
            tried.subject.use(path)
            return
        sys.exit(1 if run(arguments.cases, arguments.seed, folder, found) else 0)


if __name__ == "__main__":
    main()
