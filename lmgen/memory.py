"""How much memory a program may use: limits as users write them, what is free, what the process has."""

import os
import re
from contextlib import suppress
from pathlib import Path

from lmgen.errors import ConfigError

UNITS = {"": 1, "k": 1 << 10, "m": 1 << 20, "g": 1 << 30, "t": 1 << 40}

SHARE = 0.5
"""Of the memory that is free: what is used where no limit is given."""

UNKNOWN = 2 << 30
"""Bytes that are taken to be free where the system does not tell."""

_CGROUP = Path("/sys/fs/cgroup")


def memory_bytes(limit: str | None) -> int:
    """
    The bytes of a limit such as `2G`, `500M` or `80%`; None: half of what is free, beside what is in use.

    Units are powers of 1024, as for lmplz and GNU sort; `%` is of all memory of the machine.

    Raises:
        ConfigError: it is no such limit.
    """
    if limit is None:
        return resident_memory() + int(SHARE * free_memory())
    found = re.fullmatch(r"(\d{1,9}(?:\.\d{1,9})?)\s*(?:([kmgt])(?:i?b)?|(%))", limit.strip().lower())
    if found is None or not float(found[1]):
        raise ConfigError(
            f"--memory is {limit!r}, but has to be a number with a unit, such as 2G, 500M or 80%"
        )
    if found[3]:
        return int(float(found[1]) / 100 * total_memory())
    return int(float(found[1]) * UNITS[found[2]])


def free_memory() -> int:
    """Bytes that could be used now, within the limit of a container, without any being swapped out."""
    free = _meminfo("MemAvailable")
    with suppress(OSError, ValueError):
        limit = int((_CGROUP / "memory.max").read_text()) - int((_CGROUP / "memory.current").read_text())
        free = max(min(limit, free if free is not None else limit), 0)
    return UNKNOWN if free is None else free


def total_memory() -> int:
    """All memory of the machine, in bytes."""
    total = _meminfo("MemTotal")
    if total is None:
        with suppress(AttributeError, OSError, ValueError):
            total = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    return total or UNKNOWN


def resident_memory() -> int:
    """Bytes of memory that this process has now; 0 where the system does not tell."""
    with suppress(OSError, ValueError, IndexError):
        return int(Path("/proc/self/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE")
    return 0


def _meminfo(name: str) -> int | None:
    with suppress(OSError, ValueError, IndexError):
        for line in Path("/proc/meminfo").read_text().splitlines():
            if line.startswith(f"{name}:"):
                return int(line.split()[1]) << 10
    return None
