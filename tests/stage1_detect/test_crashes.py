"""Jobs that are killed, or whose disk refuses: what is whole stays, the rest is done again."""

import signal
import subprocess
import sys
from pathlib import Path

import pytest

from tests.conftest import ROOT
from tests.processes import Ended, run_alone
from tests.stage1_detect import crash_job
from tests.worlds.shards import unit_files
from tests.worlds.tables import small_videos

NUM_UNITS = 5
"""Of the manifest's videos of 5 and 12 frames and one that is broken."""


def start(
    manifest: Path,
    out: Path,
    *,
    workers: int = 1,
    where: str = "never",
    number: int = signal.SIGKILL,
    whom: str = "self",
    prepare: str = "",
) -> Ended | subprocess.CompletedProcess[bytes]:
    """Runs the job to its end, whatever that is; `prepare` is Python for its process to do first,
    in one that becomes the job: nothing of ours runs between a fork of this process, whose threads
    may hold locks, and what replaces it."""
    arguments = [str(manifest), str(out), str(workers), where, str(int(number)), whom]
    if not prepare:
        return run_alone(crash_job.main, arguments, said=manifest.with_name("said"))
    become = f"import os, sys\n{prepare}\nos.execv(sys.argv[1], sys.argv[1:])"
    job = [sys.executable, "-m", "tests.stage1_detect.crash_job", *arguments]
    return subprocess.run(
        [sys.executable, "-c", become, *job],
        cwd=ROOT,
        capture_output=True,
        check=False,
        start_new_session=True,
        timeout=120,
    )


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The manifest of all jobs here."""
    return small_videos(tmp_path_factory.mktemp("world"))


@pytest.fixture(scope="module")
def expected(world: Path, tmp_path_factory: pytest.TempPathFactory) -> dict[str, bytes]:
    """The shards of a job that nothing disturbs."""
    folder = tmp_path_factory.mktemp("whole")
    ended = start(world, folder)
    assert ended.returncode == 3, ended.stderr.decode()
    shards = unit_files(folder)
    assert len(shards) == NUM_UNITS
    return shards


def names(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


def check_whole(folder: Path, expected: dict[str, bytes]) -> None:
    assert unit_files(folder) == expected
    assert names(folder) == ["detect.json", "plan.json", *expected]


@pytest.mark.parametrize(
    ("workers", "where", "whom"),
    [
        (1, "batch:4", "self"),
        (1, "sync:4", "self"),
        pytest.param(2, "batch:3", "self", marks=pytest.mark.slow),
        (2, "sync:2", "parent"),
    ],
)
def test_a_killed_job_goes_on_to_the_same_shards(
    world: Path, tmp_path: Path, expected: dict[str, bytes], workers: int, where: str, whom: str
) -> None:
    out = tmp_path / "out"
    ended = start(world, out, workers=workers, where=where, whom=whom)
    of_several = workers == 2 and whom == "self"
    assert ended.returncode == (1 if of_several else -signal.SIGKILL)
    assert (b"a worker process ended abruptly" in ended.stderr) == of_several
    if whom == "self":
        assert any(".tmp-" in name for name in names(out)) == where.startswith("sync")
    left = unit_files(out)
    assert left.items() <= expected.items()
    states = {name: (out / name).stat().st_mtime_ns for name in left}
    assert start(world, out, workers=workers).returncode == 3
    check_whole(out, expected)
    assert {name: (out / name).stat().st_mtime_ns for name in left} == states


def test_sigterm_leaves_whole_shards_and_nothing_else(
    world: Path, tmp_path: Path, expected: dict[str, bytes]
) -> None:
    out = tmp_path / "out"
    number = signal.SIGTERM
    ended = start(world, out, where="sync:2", number=number, whom="group")
    assert ended.returncode == 143, ended.stderr.decode()
    assert unit_files(out).items() <= expected.items()
    assert names(out) == ["plan.json", *unit_files(out)]
    assert start(world, out).returncode == 3
    check_whole(out, expected)


def check_refused(ended: Ended | subprocess.CompletedProcess[bytes], *words: str) -> None:
    """Whether it ended with one error that has these words."""
    assert ended.returncode == 1
    (message,) = [line for line in ended.stderr.decode().splitlines() if "error:" in line]
    for word in ("could not be written", *words):
        assert word in message


def test_a_disk_that_takes_no_more(world: Path, tmp_path: Path, expected: dict[str, bytes]) -> None:
    out = tmp_path / "out"
    sizes = sorted(len(content) for content in expected.values())
    assert sizes[0] < sizes[-1]
    limit = f"resource.setrlimit(resource.RLIMIT_FSIZE, ({sizes[-1] - 1},) * 2)"
    ended = start(world, out, prepare=f"import resource\n{limit}")
    check_refused(ended, "shard-", "File too large", "check the free space")
    assert unit_files(out).items() < expected.items()
    assert names(out) == ["plan.json", *unit_files(out)]
    assert start(world, out).returncode == 3
    check_whole(out, expected)
