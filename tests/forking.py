"""
A process that has everything imported and forks for each `lmgen` that it is asked to run.

Importing torch takes seconds, a forked process has it at once. Nothing is computed before a fork, so no
thread of torch or numpy is lost in it. Each request is a list of commands as a line of JSON on stdin, which
are run at the same time; the answer is the list of their exit codes.
"""

import gc
import json
import os
import runpy
import signal
import sys
from importlib import import_module

from lmgen.cli.app import COMMANDS

SECONDS = 120
"""What a command may take before it is ended."""


def main() -> None:
    """Run commands until stdin ends; a forked process leaves this function by running its command."""
    import_everything()
    gc.freeze()
    while line := sys.stdin.readline():
        processes = []
        for command in json.loads(line):
            processes.append(os.fork())
            if not processes[-1]:
                become_lmgen(**command)
                return
        codes = [os.waitstatus_to_exitcode(os.waitpid(process, 0)[1]) for process in processes]
        sys.stdout.write(f"{json.dumps(codes)}\n")
        sys.stdout.flush()


def import_everything() -> None:
    """Import what any command imports."""
    import torch

    for module in ("runs.run", "runs.trials", "cli.console", "cli.live", "models.mixture"):
        import_module(f"lmgen.{module}")
    for place, _ in COMMANDS.values():
        import_module(f"lmgen.cli.{place.partition(':')[0]}")
    torch.optim.AdamW([torch.nn.Parameter(torch.empty(1))])  # the first optimizer imports a lot


def become_lmgen(arguments: list[str], cwd: str, files: list[str], environment: dict[str, str]) -> None:
    """Run the command in a folder, with stdin, stdout and stderr from and to these files."""
    signal.alarm(SECONDS)
    os.environ.update(environment)
    os.chdir(cwd)
    for number, flags in enumerate((os.O_RDONLY, os.O_WRONLY, os.O_WRONLY)):
        file = os.open(files[number], flags)
        os.dup2(file, number)
        os.close(file)
    sys.argv = ["lmgen", *arguments]
    sys.path[0] = cwd
    runpy.run_module("lmgen", run_name="__main__", alter_sys=True)


if __name__ == "__main__":
    main()
