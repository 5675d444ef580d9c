"""
How small lmgen makes a text from nothing, beside xz, bzip2 and PPMd.

    python -m benchmarks.compression [FILE] [--bytes N] [--presets quick,good]

FILE (../shared/data/tinyshakespeare.txt) is cut to its first N bytes. PPMd needs the package pyppmd. Every
archive of lmgen is decompressed and compared, as `lmgen compress` does; `seconds` is one thread's time for
coding alone, and decompressing takes it once more.
"""

import argparse
import os
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

os.environ["OMP_NUM_THREADS"] = "1"

import lmgen
from benchmarks.compressors import COMPRESSORS
from lmgen.compression.files import CodingProgress
from lmgen.compression.presets import PRESETS

TEXT = Path(__file__).parents[2] / "shared" / "data" / "tinyshakespeare.txt"


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("file", nargs="?", type=Path, default=TEXT)
    parser.add_argument("--bytes", type=int)
    parser.add_argument("--presets", default=",".join(preset.name for preset in PRESETS))
    arguments = parser.parse_args()
    if not arguments.file.exists():
        sys.exit(f"there is no {arguments.file}; name a text")
    content = arguments.file.read_bytes()[: arguments.bytes]
    print(f"{arguments.file.name}, {len(content):,} bytes\n")
    print("| compressor | bytes | bits/byte | CPU seconds | wall seconds |\n| --- | --- | --- | --- | --- |")
    for name, size in COMPRESSORS.items():
        row(name, content, size)
    for preset in arguments.presets.split(","):
        lmgen_row(preset, content)


def row(name: str, content: bytes, size: Callable[[bytes], int]) -> None:
    cpu, wall = time.process_time(), time.perf_counter()
    found = size(content)
    show(name, content, found, time.process_time() - cpu, time.perf_counter() - wall)


def lmgen_row(preset: str, content: bytes) -> None:
    """Times are those between the first and the last byte that is coded, without checking."""
    coded: list[tuple[float, float]] = []

    def note(coding: CodingProgress) -> None:
        if coding.phase == "compressing":
            coded[1:] = [(time.process_time(), time.perf_counter())]

    with tempfile.TemporaryDirectory() as folder:
        file, out = Path(folder) / "text", Path(folder) / "archive"
        file.write_bytes(content)
        coded.append((time.process_time(), time.perf_counter()))
        done = lmgen.compress(file, out=out, preset=preset, on_progress=note)  # type: ignore[arg-type]
    (cpu, wall), (cpu_end, wall_end) = coded
    show(f"lmgen compress --preset {preset}", content, done.archive_bytes, cpu_end - cpu, wall_end - wall)


def show(name: str, content: bytes, size: int, cpu: float, wall: float) -> None:
    print(f"| {name} | {size:,} | {size * 8 / len(content):.4f} | {cpu:.1f} | {wall:.1f} |", flush=True)


if __name__ == "__main__":
    main()
