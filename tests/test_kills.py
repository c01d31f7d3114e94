"""Commands that are killed at random moments and run again come to what an unkilled run makes.

The environment variable ORN_TEST_KILLS says how many kills each command gets (2); the moments come
from a fixed seed.
"""

import os
import signal
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import cache
from multiprocessing.connection import wait
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from orn.cli import main
from orn.demo.world import write_world
from orn.inspection.verify import verify_folder
from orn.shared.errors import ShardNotFoundError
from orn.shared.jobs.atomic_file import is_locked
from orn.shared.jobs.plan import PLAN_NAME, SHARES_NAME
from orn.shared.jobs.shares import missing_shares
from orn.shared.shards.detection_folder import DetectionFolder
from orn.shared.shards.shard_format import SHARD_FILES
from orn.stage2_train.clip_store.clips_config import ClipsConfig
from orn.stage2_train.clip_store.make_clips import make_clips
from orn.stage2_train.clip_store.store_format import CLIP_FILES
from orn.stage2_train.intervals import FILM_HEAD_NAME
from orn.stage2_train.model.tensor_files import read_tensors
from orn.stage2_train.parts import FOREST_NAME
from orn.stage2_train.runs.checkpoint import BEST_NAME
from orn.stage2_train.runs.run_folder import LAST_NAME, METRICS_NAME, read_jsonl
from tests.conftest import ROOT
from tests.processes import start_alone
from tests.running import SECONDS, run_python
from tests.stage1_detect.imports.conftest import BLOCK, write_authors
from tests.worlds.own_detector import HERE
from tests.worlds.shards import unit_files
from tests.worlds.tables import counted_videos, write_table
from tests.worlds.truth import write_truth_shards
from tests.worlds.videos import write_pictures

pytestmark = pytest.mark.slow

KILLS = int(os.environ.get("ORN_TEST_KILLS", "2"))
GONE_SECONDS = 60.0
"""How long processes that lost another one may take to end."""
CLOCK = ("clips_per_second", "seconds")
TRAINING = (
    *("model.base_width=4", "model.relation_width=16", "data.crop=[32,32]"),
    *("optimizer.batch_size=2", "phases.object_head_epochs=4", "phases.epochs=4"),
    *("phases.warm_start=best", "validation.every_epochs=2", "log_every_steps=2"),
    'ensemble=["network","forest"]',
)


@dataclass(frozen=True)
class Job:
    """A command that writes into a folder."""

    words: Sequence[str]
    """Behind `orn`; the option that names the folder is the last one."""
    made: Callable[[Path], Any]
    """What has to come out the same, of its folder."""
    locks: str = PLAN_NAME
    """The file that it holds while it works."""


def detect_job(folder: Path) -> Job:
    manifest = counted_videos(folder, {"a": 60, "b": 12})
    checkpoint = ROOT / "orn" / "demo" / "detector" / "mask_rcnn_demo.pth"
    words = ("detect", str(manifest), "--data", str(folder / "data"), "--device", "cpu")
    options = ("--checkpoint", str(checkpoint), "--unit-frames", "8", "--workers", "1", "--out")
    return Job(words=(*words, *options), made=everything)


def own_job(folder: Path) -> Job:
    """The same with a detector of a user."""
    manifest = counted_videos(folder, {"a": 60, "b": 12})
    words = ("detect", str(manifest), "--data", str(folder / "data"), "--device", "cpu")
    options = ("--detector", f"{HERE}:Blocks", "--unit-frames", "8", "--workers", "1", "--out")
    return Job(words=(*words, *options), made=everything)


def import_job(folder: Path) -> Job:
    names = [f"v{number}" for number in range(12)]
    manifest = counted_videos(folder, {}, absent=names)
    for number, name in enumerate(names):
        write_authors(folder / "masks" / f"{name}.pkl", [[BLOCK] * 8] * (700 + number))
    words = ("import-objects", str(manifest), str(folder / "masks"), "--data", str(folder / "data"))
    return Job(words=(*words, "--format", "authors", "--workers", "2", "--out"), made=everything)


def noise_films(number: int) -> NDArray[np.uint8]:
    generator = np.random.default_rng(number)
    return generator.integers(0, 256, (100, 48, 64, 3), dtype=np.uint8)


def clips_job(folder: Path) -> Job:
    names = [f"v{number}" for number in range(16)]
    manifest = write_table(
        folder, "noise", ("video,label", *(f"{name},push" for name in names)), classes=("push",)
    )
    for number, name in enumerate(names):
        write_pictures(folder / "data" / "noise" / "videos" / f"{name}.mp4", noise_films(number))
    words = ("clips", str(manifest), "--data", str(folder / "data"), "--workers", "2", "--out")
    return Job(words=words, made=everything, locks=CLIP_FILES.plan)


@cache
def train_job(folder: Path) -> Job:
    data, shards, clips = folder / "data", folder / "shards", folder / "clips"
    write_world(data, films={"train": 24, "validation": 8}, seed=0, workers=1)
    write_truth_shards(data / "demo", shards)
    make_clips(ClipsConfig(manifest="demo", data_root=data, out=clips))
    words = ("train", "demo", "--data", str(data), "--shards", str(shards), "--clips", str(clips))
    words = (*words, "--workers", "0", "--device", "cpu")
    settings = (word for setting in TRAINING for word in ("--set", setting))
    return Job(words=(*words, *settings, "--run"), made=training, locks=LAST_NAME)


FILMS = """
name = "films"
title = "The films of the demo, with an interval each"
form = "segments"
kind = "intervals"
task = "single-label"
metric = "top1"
clip_frames = 4
root = "demo"
flipped_classes = []
[videos]
pattern = "videos/{id}.mp4"
[labels]
format = "table"
table = "intervals.csv"
classes = "classes.txt"
[clips]
height = 70
width = 88
[intervals]
background = "none"
rate = 8.0
"""


def film_job(folder: Path) -> Job:
    """Training on intervals, which ends with a head over time."""
    words = train_job(folder).words
    root, clips = folder / "data" / "demo", folder / "film-clips"
    labels = (root / "labels.csv").read_text().splitlines()[1:]
    rows = [f"{row},{0.25 * (at % 2)},{0.5 + 0.25 * (at % 2)}" for at, row in enumerate(labels)]
    table = "\n".join(["video,label,split,start,stop", *rows]) + "\n"
    (root / "intervals.csv").write_text(table)
    manifest = folder / "films.toml"
    manifest.write_text(FILMS)
    if not clips.exists():
        make_clips(ClipsConfig(manifest=str(manifest), data_root=folder / "data", out=clips))
    own = ("train", str(manifest), "--recipe", "demo", *words[2:])
    own = tuple(str(clips) if word == str(folder / "clips") else word for word in own)
    own = (*own[:-1], "--set", 'ensemble=["network","forest","film"]', "--run")
    return Job(words=own, made=film_training, locks=LAST_NAME)


def film_training(run: Path) -> tuple[Any, ...]:
    """What `training` returns, and the head over time."""
    tensors, metadata = read_tensors(run / FILM_HEAD_NAME, what="a head", remedy="train again")
    head = {key: (tensor.dtype, tensor.numpy().tobytes()) for key, tensor in tensors.items()}
    return (*training(run), metadata, head)


def everything(folder: Path) -> dict[str, bytes]:
    """The names of all files in a folder, with the content of those of units."""
    return {path.name: b"" for path in folder.iterdir()} | unit_files(folder)


def training(run: Path) -> tuple[Any, ...]:
    """Weights, optimizer and log of a run, without what the clock says."""
    state: list[Any] = [sorted(path.name for path in run.glob(".*.tmp-*"))]
    for name in (LAST_NAME, BEST_NAME, FOREST_NAME):
        tensors, metadata = read_tensors(run / name, what="a checkpoint", remedy="train again")
        state += [
            metadata,
            {key: (tensor.dtype, tensor.numpy().tobytes()) for key, tensor in tensors.items()},
        ]
    lines = read_jsonl(run / METRICS_NAME)
    state.append([{name: line[name] for name in line if name not in CLOCK} for line in lines])
    return tuple(state)


def run_command(words: Sequence[str]) -> int:
    main(words)
    return 0


@dataclass(frozen=True)
class Started:
    """The process of a job in a folder, once it works or has ended."""

    process: Any
    folder: Path

    def finish(self) -> None:
        """Wait until it has ended well."""
        self.process.join(SECONDS)
        output = self.folder.with_name(f"{self.folder.name}.output").read_text()
        exit_code = self.process.exitcode
        self.process.kill()
        assert exit_code == 0, output[-2000:]

    def kill(self, delay: float, *, whole: bool, number: signal.Signals) -> bool:
        """Send a signal after so many seconds to the process, with its children or alone, and wait
        until all are gone; False if it had ended by then."""
        wait([self.process.sentinel], delay)
        if not self.process.is_alive():
            self.finish()
            return False
        (os.killpg if whole else os.kill)(self.process.pid, number)
        deadline = time.monotonic() + GONE_SECONDS
        self.process.join(GONE_SECONDS)
        while is_there(self.process.pid):  # its children end by themselves
            assert time.monotonic() < deadline, "processes of a killed job are alive"
            time.sleep(0.005)
        return bool(self.process.exitcode)


def is_there(group: int) -> bool:
    try:
        os.killpg(group, 0)
    except ProcessLookupError:
        return False
    return True


def start(job: Job, folder: Path) -> Started:
    folder.parent.mkdir(parents=True, exist_ok=True)
    output = folder.with_name(f"{folder.name}.output")
    process = start_alone(run_command, (*job.words, str(folder)), output=output)
    while not is_locked(folder / job.locks) and process.is_alive():
        time.sleep(0.005)
    return Started(process=process, folder=folder)


def states(folder: Path) -> dict[str, tuple[int, int]]:
    """What changes when a unit's file is written again: its number on the disk, and its time."""
    files = ((name, (folder / name).stat()) for name in unit_files(folder))
    return {name: (state.st_ino, state.st_mtime_ns) for name, state in files}


def kills() -> Iterator[dict[str, Any]]:
    """With its children or alone, by SIGKILL and, every fourth time, by SIGTERM."""
    for number in range(KILLS):
        yield {
            "whole": number % 2 == 0,
            "number": signal.SIGTERM if number % 4 == 3 else signal.SIGKILL,
        }


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Where the data of the jobs is made."""
    return tmp_path_factory.mktemp("made")


@pytest.mark.parametrize(
    "make",
    [
        pytest.param(detect_job, id="detect", marks=pytest.mark.mmdet),
        pytest.param(own_job, id="own-detector"),
        pytest.param(import_job, id="import-objects"),
        pytest.param(clips_job, id="clips"),
        pytest.param(train_job, id="train"),
        pytest.param(film_job, id="train-on-films"),
    ],
)
def test_a_killed_command_comes_to_the_same(made, tmp_path, make) -> None:
    job = make(made)
    whole = start(job, tmp_path / "whole")
    began = time.perf_counter()
    whole.finish()
    seconds, expected = time.perf_counter() - began, job.made(whole.folder)
    moments = np.random.default_rng(3)
    due = list(kills())
    for number in range(10 * KILLS):
        folder, kept = tmp_path / f"killed-{number}", {}
        while due and start(job, folder).kill(moments.uniform(0, seconds), **due[0]):
            del due[0]
            left = states(folder)
            assert kept.items() <= left.items()
            kept = left
        start(job, folder).finish()
        assert job.made(folder) == expected
        assert kept.items() <= states(folder).items()  # nothing that was done is done again
        if not due:
            return
    pytest.fail("the command ended before it was killed")


@pytest.mark.parametrize(
    "make", [pytest.param(detect_job, marks=pytest.mark.mmdet), pytest.param(own_job)]
)
def test_shares_at_once_come_to_the_same_when_some_are_killed(made, tmp_path, make) -> None:
    """Four shares, two of which are killed and run again, and one process, to the byte."""
    job, folder = make(made), tmp_path / "shares"
    start(job, tmp_path / "whole").finish()

    def begin(number: int) -> Any:
        words = (*job.words[:-1], "--share", f"{number}/4", "--out", str(folder))
        return start_alone(run_command, words, output=tmp_path / f"output-{number}")

    running = {number: begin(number) for number in range(1, 5)}
    killed, moments = set[int](), np.random.default_rng(5)
    for number, process in running.items():
        while not is_locked(folder / f"share-{number}") and process.is_alive():
            time.sleep(0.005)
        if number <= 2:
            wait([process.sentinel], moments.uniform(0, 0.3))
            killed |= {number} if process.is_alive() else set()
            process.kill()
    for process in running.values():
        process.join(SECONDS)
    assert [running[number].exitcode for number in (3, 4)] == [0, 0]
    left = missing_shares(SHARD_FILES, folder)
    if killed and left:
        assert {*left} <= {f"{number}/4" for number in killed}
        with pytest.raises(ShardNotFoundError, match=f"run `orn detect` with --share {left[0]}"):
            DetectionFolder(folder)
        told = [problem.message for problem in verify_folder(folder)]
        assert all(any(f"--share {share}" in message for message in told) for share in left)
    for process in [begin(number) for number in killed]:
        process.join(SECONDS)
        assert process.exitcode == 0
    assert everything(folder) == everything(tmp_path / "whole") | {SHARES_NAME: b""}
    assert (folder / PLAN_NAME).read_bytes() == (tmp_path / "whole" / PLAN_NAME).read_bytes()
    assert DetectionFolder(folder).video_ids == ("a", "b")


def test_two_processes_train_as_one_that_averages_two_batches(made: Path, tmp_path: Path) -> None:
    job = train_job(made)
    same_draws = ("--set", "model.relation_frames=same", "--set", "log_every_steps=1")
    losses = []
    for processes, batches in ((2, 1), (1, 2)):
        run = tmp_path / f"{processes}-processes"
        words = (*job.words[:-1], *same_draws, "--set", f"optimizer.accumulation={batches}")
        launch = ("-m", "torch.distributed.run", f"--nproc-per-node={processes}", "--standalone")
        run_python(*launch, "-m", "orn", "--", *words, "--run", run)
        log = read_jsonl(run / METRICS_NAME)
        losses.append([line["loss"] for line in log if line["group"] == "train"])
    assert losses[0] == pytest.approx(losses[1], abs=1e-5)
