"""
Which of OpenBLAS's kernels multiply matrices, and in how many threads, chosen before numpy loads it.

OpenBLAS, which most numpy packages bring along, knows processors by their model numbers. On an AMD processor
that is newer than itself it falls back on kernels for AVX2, also where there is AVX-512: products then take
1.4 times as long (measured on an EPYC with OpenBLAS 0.3.31). The operating system knows better.

It starts its threads when it is loaded, which takes as long as all the rest of numpy.
"""

import os
from pathlib import Path

CHOICE = "OPENBLAS_CORETYPE"
"""The environment variable by which OpenBLAS can be told."""

NEEDED = {"avx512f", "avx512cd", "avx512bw", "avx512dq", "avx512vl"}
"""What the kernels named SkylakeX use."""

THREADS = {"OPENBLAS_NUM_THREADS", "GOTO_NUM_THREADS", "OMP_NUM_THREADS"}
"""The environment variables by which it can be told how many threads to use."""


def choose_kernels(processor: Path = Path("/proc/cpuinfo")) -> None:
    """Tell OpenBLAS of an AMD processor with AVX-512, unless the user has told it something."""
    if CHOICE not in os.environ and _is_amd_with_avx512(processor):
        os.environ[CHOICE] = "SkylakeX"


def use_one_thread() -> None:
    """Have OpenBLAS start no threads, unless the user has told it how many."""
    if not THREADS & os.environ.keys():
        os.environ["OPENBLAS_NUM_THREADS"] = "1"


def _is_amd_with_avx512(processor: Path) -> bool:
    """What Linux says of the first processor; no where there is no such file."""
    try:
        with processor.open(encoding="utf-8", errors="replace") as file:
            described = file.read(8192).partition("\n\n")[0]
    except OSError:
        return False
    fields = dict(line.split(":", 1) for line in described.splitlines() if ":" in line)
    known = {name.strip(): value.split() for name, value in fields.items()}
    return known.get("vendor_id") == ["AuthenticAMD"] and set(known.get("flags", ())) >= NEEDED
