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

_CGROUP_FILES = (
    ("memory.max", "memory.current", "memory.stat", "inactive_file"),
    (
        "memory/memory.limit_in_bytes",
        "memory/memory.usage_in_bytes",
        "memory/memory.stat",
        "total_inactive_file",
    ),
)
"""
Where versions 2 and 1 of control groups tell a container's limit and what it uses.

The last is what counts as used, but is a copy of what is on disk and given back when it is needed.
"""


def memory_bytes(limit: str | None) -> int:
    """
    The bytes of a limit such as `2G`, `500M` or `80%`; None: half of what is free, beside what is in use.

    Units are powers of 1024, as for lmplz and GNU sort; `%` is of all memory of the machine or container.

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
    container = _container()
    if container is not None:
        limit, used = container
        free = max(min(limit - used, free if free is not None else limit), 0)
    return UNKNOWN if free is None else free


def total_memory() -> int:
    """All memory of the machine, or of the container where that has less, in bytes."""
    total = _meminfo("MemTotal")
    if total is None:
        with suppress(AttributeError, OSError, ValueError):
            total = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    container = _container()
    if container is not None:
        total = min(container[0], total or container[0])
    return total or UNKNOWN


def resident_memory() -> int:
    """Bytes of memory that this process has now; 0 where the system does not tell."""
    with suppress(OSError, ValueError, IndexError):
        return int(Path("/proc/self/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE")
    return 0


def _meminfo(name: str) -> int | None:
    with suppress(OSError, ValueError, IndexError):
        return _entry(Path("/proc/meminfo"), f"{name}:") << 10
    return None


def _container() -> tuple[int, int] | None:
    """The bytes that the container may use, and those that it does; None where there is no limit."""
    for limit, used, statistics, reclaimable in _CGROUP_FILES:
        with suppress(OSError, ValueError):
            most, now = (int((_CGROUP / name).read_text()) for name in (limit, used))
            with suppress(OSError, ValueError, IndexError):
                now -= _entry(_CGROUP / statistics, reclaimable)
            return most, now
    return None


def _entry(file: Path, name: str) -> int:
    """
    The number beside a name, in a file with one on each line.

    Raises:
        OSError: there is no such file.
        ValueError: it has no such entry.
    """
    for line in file.read_text().splitlines():
        if line.split()[:1] == [name]:
            return int(line.split()[1])
    raise ValueError(f"{file} has no {name}")
