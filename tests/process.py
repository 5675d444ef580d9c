"""Running the command as users do: as a process of its own."""

import atexit
import json
import os
import re
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, suppress
from functools import cache
from pathlib import Path
from tempfile import TemporaryDirectory
from types import MappingProxyType
from typing import Any, Self, TextIO

COMMAND = [sys.executable, "-m", "lmgen"]

ENVIRONMENT = {**os.environ, "COLUMNS": "100"}


def run_command(
    command: Sequence[str],
    *,
    cwd: Path,
    text: str | None = None,
    environment: Mapping[str, str] = ENVIRONMENT,
    timeout: float = 120,
    check: bool = False,
) -> subprocess.CompletedProcess[str]:
    """Run any command in a folder, to its end; `text` is what is piped in; `check`: it has to succeed."""
    return subprocess.run(
        command,
        cwd=cwd,
        input=text,
        capture_output=True,
        text=True,
        env=environment,
        check=check,
        timeout=timeout,
    )


def lmgen_from_scratch(
    *arguments: str, cwd: Path, text: str | None = None
) -> subprocess.CompletedProcess[str]:
    """Run `lmgen` in a folder as users do: in an interpreter that begins by importing everything."""
    return run_command([*COMMAND, *arguments], cwd=cwd, text=text)


def lmgen(*arguments: str, cwd: Path, text: str | None = None) -> subprocess.CompletedProcess[str]:
    """Run `lmgen` in a folder, in a process forked from one that has everything imported (forking.py)."""
    return _forked([{}], arguments, cwd, text)[0]


def lmgen_together(processes: int, *arguments: str, cwd: Path) -> list[subprocess.CompletedProcess[str]]:
    """Run `lmgen` in a folder as torchrun does, in several processes that train one model."""
    port = free_port()
    return _forked([place(rank, processes, port) for rank in range(processes)], arguments, cwd)


def free_port() -> int:
    """A port that nobody listens at."""
    with socket.create_server(("127.0.0.1", 0)) as free:
        port: int = free.getsockname()[1]
        return port


def place(rank: int, processes: int, port: int) -> dict[str, str]:
    """What torchrun tells each of several processes on this machine."""
    numbers = {"RANK": rank, "LOCAL_RANK": rank, "WORLD_SIZE": processes, "MASTER_PORT": port}
    return {"MASTER_ADDR": "127.0.0.1", **{name: str(number) for name, number in numbers.items()}}


def _forked(
    environments: Sequence[Mapping[str, str]], arguments: Sequence[str], cwd: Path, text: str | None = None
) -> list[subprocess.CompletedProcess[str]]:
    """Run a command in each of some environments, at the same time."""
    with TemporaryDirectory() as folder:
        files = [
            [Path(folder) / f"{name}-{number}" for name in ("stdin", "stdout", "stderr")]
            for number in range(len(environments))
        ]
        for stdin, stdout, stderr in files:
            stdin.write_bytes((text or "").encode())
            stdout.touch()
            stderr.touch()
        commands = [
            {
                "arguments": arguments,
                "cwd": str(cwd),
                "files": [*map(str, paths)],
                "environment": {**environment},
            }
            for environment, paths in zip(environments, files, strict=True)
        ]
        codes = [_ask_to("wait", process) for process in _ask_to("start", commands)]
        return [
            subprocess.CompletedProcess(["lmgen", *arguments], code, _text_of(stdout), _text_of(stderr))
            for code, (_, stdout, stderr) in zip(codes, files, strict=True)
        ]


def _text_of(file: Path) -> str:
    with file.open(encoding="utf-8") as opened:
        return opened.read()


def _ask_to(what: str, how: object) -> Any:
    """
    Ask the process that forks for something.

    If this is interrupted, as by the time limit of a test, the next one asks another process: an answer that
    nobody has read would be taken for the next one.
    """
    forking = _forking()
    assert forking.stdin is not None
    assert forking.stdout is not None
    try:
        forking.stdin.write(json.dumps({what: how}) + "\n")
        forking.stdin.flush()
        return json.loads(forking.stdout.readline())
    except BaseException:
        _forking.cache_clear()
        forking.kill()
        raise


@cache
def _forking() -> "subprocess.Popen[str]":
    """The process that forks, one for each worker of the tests unless one is lost."""
    process = subprocess.Popen(
        [sys.executable, "-m", "tests.forking"],
        cwd=Path(__file__).parents[1],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
        env=ENVIRONMENT,
    )
    atexit.register(process.communicate)  # closes its stdin, which ends it
    return process


def on_a_terminal(*arguments: str, cwd: Path) -> str:
    """Run `lmgen` with its stderr on a terminal; what it shows there, control sequences included."""
    terminal, end = os.openpty()
    with subprocess.Popen(
        [*COMMAND, *arguments], cwd=cwd, stdout=subprocess.DEVNULL, stderr=end, env=ENVIRONMENT
    ) as process:
        os.close(end)
        shown = b""
        with suppress(OSError):  # Linux's way to say that the other end is closed
            while block := os.read(terminal, 1 << 16):
                shown += block
    os.close(terminal)
    assert process.returncode == 0, shown.decode()
    return shown.decode()


@contextmanager
def forked_command(folder: Path) -> Iterator[Path]:
    """
    A folder with a command `lmgen` for scripts of the shell, which forks (forking.py) while the block runs.

    Args:
        folder: an empty one.
    """
    path = folder / "socket"
    command = folder / "bin" / "lmgen"
    command.parent.mkdir()
    asking = Path(__file__).with_name("asking.py")
    command.write_text(f'#!/bin/sh\nexec "{sys.executable}" -S -E "{asking}" "{path}" "$@"\n')
    command.chmod(0o755)
    with subprocess.Popen(
        [sys.executable, "-m", "tests.forking", str(path)],
        cwd=Path(__file__).parents[1],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
        env=ENVIRONMENT,
    ) as forking:
        assert forking.stdout is not None
        assert forking.stdout.readline() == "listening\n"
        yield command.parent
        forking.communicate()  # closes its stdin, which ends it


def forked_on_a_terminal(*arguments: str, cwd: Path) -> tuple[bytes, int]:
    """Run `lmgen` in a forked process on a terminal; all that it shows there, and its exit code."""
    ours, theirs = os.openpty()

    def shown() -> bytes:
        found = b""
        with suppress(OSError):  # Linux's way to say that the other end is closed
            while block := os.read(ours, 1 << 16):
                found += block
        return found

    terminal = os.ttyname(theirs)
    command = {"arguments": arguments, "cwd": str(cwd), "files": [terminal] * 3, "environment": {}}
    with ThreadPoolExecutor(1) as threads:
        reading = threads.submit(shown)
        [process] = _ask_to("start", [command])
        code: int = _ask_to("wait", process)
        os.close(theirs)
        found = reading.result()
    os.close(ours)
    return found, code


class Running:
    """A command that is still running; it is ended when the block is left."""

    def __init__(self, *arguments: str, cwd: Path, ignoring: int | None = None) -> None:
        """Args: ignoring, a signal that the command is begun with ignored, as by `nohup`."""
        self.process = subprocess.Popen(
            [*COMMAND, *arguments],
            cwd=cwd,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            env=ENVIRONMENT,
            preexec_fn=None if ignoring is None else lambda: signal.signal(ignoring, signal.SIG_IGN),
        )

    def __enter__(self) -> "subprocess.Popen[str]":
        return self.process

    def __exit__(self, *_: object) -> None:
        self.process.kill()
        self.process.communicate()


class Forked:
    """
    A command that is still running, in a forked process (forking.py), as `Running` and `subprocess.Popen`.

    It is ended when the block is left, and after some time in any case.
    """

    def __init__(
        self,
        *arguments: str,
        cwd: Path,
        ignoring: int | None = None,
        environment: Mapping[str, str] = MappingProxyType({}),
        program: str | None = None,
    ) -> None:
        """Args: as those of `forking.become_lmgen`."""
        self.returncode: int | None = None
        with TemporaryDirectory() as folder:
            pipes = [Path(folder) / name for name in ("stdin", "stdout", "stderr")]
            for pipe in pipes:
                os.mkfifo(pipe)
            command = {
                "arguments": arguments,
                "cwd": str(cwd),
                "files": [*map(str, pipes)],
                "environment": {**environment},
                "ignoring": ignoring,
                "program": program,
            }
            [self.pid] = _ask_to("start", [command])
            self.stdin = pipes[0].open("w")  # each waits for the other end, which opens them in this order
            self.stdout, self.stderr = pipes[1].open(), pipes[2].open()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.kill()
        with suppress(ChildProcessError):
            self.communicate()

    def send_signal(self, number: int) -> None:
        """Send it a signal, unless its end is known."""
        if self.returncode is None:
            with suppress(ProcessLookupError):  # of a process that forks no more, so nobody waits for it
                os.kill(self.pid, number)

    def kill(self) -> None:
        """End it at once."""
        self.send_signal(signal.SIGKILL)

    def poll(self) -> int | None:
        """Its exit code if it has ended."""
        if self.returncode is None:
            self.returncode = _ask_to("poll", self.pid)
        return self.returncode

    def wait(self) -> int:
        """Its exit code when it has ended."""
        if self.returncode is None:
            self.returncode = _ask_to("wait", self.pid)
        if self.returncode is None:
            raise ChildProcessError("how it has ended is not known: the process that forked it is lost")
        return self.returncode

    def communicate(self) -> tuple[str, str]:
        """What it writes on stdout and stderr until its end."""
        with suppress(BrokenPipeError):
            self.stdin.close()
        with ThreadPoolExecutor(2) as threads:
            said = list(threads.map(_rest_of, (self.stdout, self.stderr)))
        self.wait()
        return said[0], said[1]


def _rest_of(pipe: TextIO) -> str:
    """What is left to read of a pipe; nothing of a closed one."""
    if pipe.closed:
        return ""
    with pipe:
        return pipe.read()


def wait_for(pattern: str, process: "subprocess.Popen[str] | Forked") -> None:
    """Read what a command says on stderr up to a line that begins like that."""
    assert process.stderr is not None
    for line in process.stderr:
        if re.match(pattern, line):
            return
