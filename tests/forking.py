"""
A process that has everything imported and forks for each `lmgen` that it is asked to run.

Importing torch takes seconds, a forked process has it at once. Nothing is computed before a fork, so no
thread of torch or numpy is lost in it. The tests themselves ask on stdin, by a line of JSON, and are answered
by one on stdout (process.py):

    {"start": [command, ...]}    their process ids; they run at the same time
    {"wait": id}                 the exit code of one, when it has ended; null if it is not of this process
    {"poll": id}                 the same if it has ended, else null

Scripts of the shell run a command `lmgen` that asks at a socket (asking.py), if the path of one is given.
"""

import gc
import json
import os
import runpy
import signal
import socket
import sys
from contextlib import suppress
from importlib import import_module
from select import select
from typing import Any

from lmgen.cli.app import COMMANDS

SECONDS = 200
"""What a command may take before it is ended: less than a test may, so that the test hears of its end."""


def main(path: str | None = None) -> None:
    """Run commands until stdin ends; a forked process leaves this function by running its command."""
    import_everything()
    gc.freeze()
    command = answer_tests() if path is None else answer_scripts(path)
    if command is not None:
        become_lmgen(**command)


def answer_tests() -> dict[str, Any] | None:
    """Answer what stdin asks for; what a forked process has to run, None when stdin ends."""
    while line := sys.stdin.readline():
        match json.loads(line):
            case {"start": commands}:
                answer: Any = []
                for command in commands:
                    answer.append(os.fork())
                    if not answer[-1]:
                        ends = enumerate((os.O_RDONLY, os.O_WRONLY, os.O_WRONLY))
                        files = command.pop("files")
                        return {**command, "opened": [os.open(files[end], flags) for end, flags in ends]}
            case {"wait": process}:
                answer = exit_code(process, 0)
            case {"poll": process}:
                answer = exit_code(process, os.WNOHANG)
        sys.stdout.write(f"{json.dumps(answer)}\n")
        sys.stdout.flush()
    return None


def exit_code(process: int, options: int) -> int | None:
    """The exit code of a process by `os.waitpid`; None if it runs, or is no child of this one."""
    try:
        ended, status = os.waitpid(process, options)
    except ChildProcessError:
        return None
    return os.waitstatus_to_exitcode(status) if ended else None


def answer_scripts(path: str) -> dict[str, Any] | None:
    """Answer what asks at a socket; what a forked process has to run, None when stdin ends."""
    with socket.socket(socket.AF_UNIX) as listening:
        listening.bind(path)
        listening.listen()
        sys.stdout.write("listening\n")
        sys.stdout.flush()
        while sys.stdin not in select([listening, sys.stdin], [], [])[0]:
            connection, _ = listening.accept()
            if not os.fork():
                break
            connection.close()
            forget_ended()
        else:
            forget_ended()
            return None
    # This process waits for the command, and tells how it has ended.
    message, opened, _, _ = socket.recv_fds(connection, 1 << 20, 3)
    if not (process := os.fork()):
        connection.close()
        return {**json.loads(message), "opened": opened}
    connection.sendall(f"{process}\n".encode())
    code = os.waitstatus_to_exitcode(os.waitpid(process, 0)[1])
    connection.sendall(f"{code}\n".encode())
    os._exit(0)


def forget_ended() -> None:
    """Let the system forget processes that have ended and that nobody waits for."""
    with suppress(ChildProcessError):
        while os.waitpid(-1, os.WNOHANG)[0]:
            pass


def import_everything() -> None:
    """Import what any command imports."""
    import torch

    for module in ("runs.run", "runs.trials", "cli.console", "cli.live", "models.mixture"):
        import_module(f"lmgen.{module}")
    for place, _ in COMMANDS.values():
        import_module(f"lmgen.cli.{place.partition(':')[0]}")
    torch.optim.AdamW([torch.nn.Parameter(torch.empty(1))])  # the first optimizer imports a lot


def become_lmgen(
    arguments: list[str],
    cwd: str,
    opened: list[int],
    environment: dict[str, str],
    ignoring: int | None = None,
    program: str | None = None,
) -> None:
    """
    Run a command in a folder.

    Args:
        arguments: of `lmgen`.
        cwd: the folder.
        opened: what stdin, stdout and stderr come from and go to.
        environment: variables that are different.
        ignoring: a signal that it is begun with ignored.
        program: source of Python to run in the place of `lmgen`.
    """
    for number, file in enumerate(opened):
        os.dup2(file, number)
        os.close(file)
    signal.alarm(SECONDS)
    if ignoring is not None:
        signal.signal(ignoring, signal.SIG_IGN)
    os.environ.update(environment)
    os.chdir(cwd)
    sys.argv = ["lmgen", *arguments]
    sys.path[0] = cwd
    if program is None:
        runpy.run_module("lmgen", run_name="__main__", alter_sys=True)
    else:
        exec(program, {"__name__": "__main__"})  # noqa: S102 - of a test


if __name__ == "__main__":
    main(*sys.argv[1:])
