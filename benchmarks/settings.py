"""
Settings of `lmgen train` beside each other: what each reaches in the same time.

    python -m benchmarks.settings text.txt --seconds 60 --with="" --with="--output-rate 1"
    python -m benchmarks.settings python-docs --with="--preset good" --with="--preset good --cell gru"

Runs of all settings take turns, seed by seed, so that a machine that becomes slower does so for all of them.
Each row gives nats per token of the run's held-out text, median and range over the seeds, and the median of
the tokens a second that it trained on.
"""

import argparse
import shlex
import tempfile
from pathlib import Path
from statistics import median

from benchmarks.adapting import spread
from benchmarks.cells import processor
from benchmarks.defaults import lmgen


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("texts", nargs="+", help="files or corpus names")
    parser.add_argument("--with", dest="settings", action="append", default=[], help="flags of `lmgen train`")
    parser.add_argument("--seconds", type=float, help="of each run (default: the preset's)")
    parser.add_argument("--seeds", type=int, default=3, help="how many, from 1 on (default: 3)")
    parser.add_argument("--threads", type=int, default=1)
    arguments = parser.parse_args()
    settings = arguments.settings or [""]
    print(f"{processor()}, threads: {arguments.threads}")
    for text in arguments.texts:
        budget = [] if arguments.seconds is None else ["--minutes", f"{arguments.seconds / 60:g}"]
        nats: dict[str, list[float]] = {each: [] for each in settings}
        speeds: dict[str, list[float]] = {each: [] for each in settings}
        for seed in range(1, arguments.seeds + 1):
            for each in settings:
                with tempfile.TemporaryDirectory() as name:
                    flags = [*shlex.split(each), "--seed", seed, "--threads", arguments.threads, *budget]
                    run = lmgen("train", text, "--out", Path(name) / "run", "--baseline-order", 0, *flags)
                nats[each].append(run["valid_nats_per_token"])
                speeds[each].append(run["tokens_per_second"])
        print(f"\n## {Path(text).stem}\n\n| settings | nats | tokens/s |\n| --- | --- | --- |")
        for each in settings:
            shown = f"`{each}`" if each else "the defaults"
            print(f"| {shown} | {spread(nats[each], '.4f')} | {median(speeds[each]):,.0f} |", flush=True)


if __name__ == "__main__":
    main()
