"""Commands that run in processes of their own: they end with us, and say why they fail."""

import os
import signal
import subprocess
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import BinaryIO

import pytest

from shared.errors import PipelineError
from shared.jobs.commands import run_orn
from shared.jobs.termination import Terminated


def test_an_exit_code_is_a_failure_unless_it_is_said_to_be_none(capfd) -> None:
    wanted = "`orn detect no-such-data-set` ended with exit code 2"
    with pytest.raises(PipelineError, match=wanted):
        run_orn(["detect", "no-such-data-set"], stdout=subprocess.DEVNULL)
    assert "no-such-data-set" in capfd.readouterr().err
    run_orn(["detect", "no-such-data-set"], stdout=subprocess.DEVNULL, done=(0, 2))


@pytest.mark.timeout(120)
def test_sigterm_ends_the_command(tmp_path: Path) -> None:
    report = tmp_path / "report.json"
    os.mkfifo(report)  # which the command reads until we close it
    points = (f"1={report}", "2=other.json")
    with ThreadPoolExecutor(1) as pool:

        def end_us_once_it_reads() -> BinaryIO:
            writer = report.open("wb", buffering=0)
            os.kill(os.getpid(), signal.SIGTERM)
            return writer

        opened = pool.submit(end_us_once_it_reads)
        with pytest.raises(Terminated):
            run_orn(["curve", "x", *points, "--out", "c"], stdout=subprocess.DEVNULL)
        with opened.result() as writer, pytest.raises(BrokenPipeError):
            writer.write(b"nobody reads this")
