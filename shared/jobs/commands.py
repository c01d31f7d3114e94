"""Commands of `orn` that another one runs, each in a process of its own."""

import shlex
import subprocess
import sys
from collections.abc import Sequence

from orn.shared.errors import PipelineError
from orn.shared.jobs.termination import Terminated, terminated_as_interrupted


def run_orn(arguments: Sequence[str], *, stdout: int, done: Sequence[int] = (0,)) -> None:
    """Runs `orn` with these arguments; on ctrl-C and SIGTERM it ends, too, before this returns.

    Args:
        arguments: what follows `orn`.
        stdout: file that takes what it prints for programs, as `subprocess` has it.
        done: exit codes that are none of a failure.

    Raises:
        PipelineError: it ended with another exit code, and has said why on stderr.
    """
    command = [sys.executable, "-P", "-m", "orn", *arguments]
    with terminated_as_interrupted(), subprocess.Popen(command, stdout=stdout) as process:
        try:
            code = process.wait()
        except KeyboardInterrupt as interrupt:
            if isinstance(interrupt, Terminated):  # ctrl-C reaches it from the terminal
                process.terminate()
            process.wait()
            raise
    if code not in done:
        raise PipelineError(
            f"`{shlex.join(['orn', *arguments])}` ended with exit code {code}; its message is above"
        )
