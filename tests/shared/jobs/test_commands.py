"""Commands that run in processes of their own: they end with us, and say why they fail."""

import fcntl
import json
import os
import select
import signal
import subprocess
from concurrent.futures import ThreadPoolExecutor

import pytest

from orn.shared.errors import PipelineError
from orn.shared.jobs.commands import run_orn
from orn.shared.jobs.termination import Terminated
from tests.shared.inspect.conftest import found, write


def test_an_exit_code_is_a_failure_unless_it_is_said_to_be_none(capfd) -> None:
    wanted = "`orn manifest check no-such-data-set` ended with exit code 2"
    with pytest.raises(PipelineError, match=wanted):
        run_orn(["manifest", "check", "no-such-data-set"], stdout=subprocess.DEVNULL)
    assert "no-such-data-set" in capfd.readouterr().err
    run_orn(["manifest", "check", "no-such-data-set"], stdout=subprocess.DEVNULL, done=(0, 2))


@pytest.mark.timeout(120)
def test_sigterm_ends_the_command(tmp_path) -> None:
    shard = write(tmp_path / "s.zarr.zip", {f"video {n}": [found((0, 0.5))] for n in range(50)})
    reader, writer = os.pipe()
    fcntl.fcntl(writer, fcntl.F_SETPIPE_SZ, 4096)  # less than the command says before it is read
    with (
        os.fdopen(reader, "rb") as said,
        os.fdopen(writer, "wb") as stdout,
        ThreadPoolExecutor(1) as pool,
    ):

        def end_us_once_it_speaks() -> None:
            select.select([said], [], [])
            os.kill(os.getpid(), signal.SIGTERM)

        pool.submit(end_us_once_it_speaks)
        with pytest.raises(Terminated):
            run_orn(["inspect", str(shard), "--json"], stdout=stdout)
        stdout.close()
        text = said.read()  # to its end: nobody writes any more
    with pytest.raises(ValueError, match=r"Unterminated|Expecting"):
        json.loads(text)
