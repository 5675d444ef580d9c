"""
Ask forking.py, at a socket, to run `lmgen` as this process would: a light command for scripts of the shell.

This begins in some milliseconds, without a site. The command has the same stdin, stdout and stderr, and gets
the signals that would end this process; a server, which a script ends, is run from scratch.
"""

import json
import os
import signal
import socket
import sys
from typing import Any


def main(path: str, *arguments: str) -> int:
    """Run `lmgen` with some arguments; its exit code, as the shell has it."""
    if arguments[:1] == ("serve",):
        os.execv(sys.executable, [sys.executable, "-m", "lmgen", *arguments])  # noqa: S606
    with socket.socket(socket.AF_UNIX) as asked:
        asked.connect(path)
        cwd = os.getcwd()  # noqa: PTH109 - pathlib takes longer to import than all of this takes
        command = {"arguments": arguments, "cwd": cwd, "environment": dict(os.environ)}
        socket.send_fds(asked, [json.dumps(command).encode()], [0, 1, 2])
        with asked.makefile() as answers:
            process = int(answers.readline())

            def pass_on(number: int, _frame: Any) -> None:
                os.kill(process, number)

            for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
                signal.signal(number, pass_on)
            code = int(answers.readline())
    return code if code >= 0 else 128 - code


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
