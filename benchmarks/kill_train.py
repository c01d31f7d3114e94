"""Kills `orn train` at random moments and checks that it completes to the same training.

    python -m orn.benchmarks.kill_train --trials 20 --out FILE

A small training of two phases on generated films, of one process and then of two, is killed at a
moment drawn uniformly from the first half of the time in which a whole one trains, counted from
when it holds its folder; the same command is given again and killed again, until it has ended; then
the next training. All processes are killed with SIGKILL, every fourth time with SIGTERM; of two
every fourth time only the last one, and the other has to end by itself. Processes are forked from
one that has imported what the command imports, which would take longer than the training. Weights,
optimiser and log of each training, without what the clock says, must then equal those of one that
was never killed, to the bit, and nothing half-written may be left.

At the end two processes, and one that averages two batches, train on the same clips without draws
in a step; the largest difference of a loss is told.
"""

import os
import signal
import socket
import time
from collections.abc import Mapping, Sequence
from multiprocessing import get_context
from multiprocessing.connection import wait
from multiprocessing.process import BaseProcess
from pathlib import Path
from typing import Any

import click
import numpy as np
import torch

from orn.benchmarks.killing import GONE_SECONDS, temporaries_left, tool
from orn.demo.world.dials import Dials
from orn.demo.world.make import write_dataset
from orn.demo.world.truth_shards import write_truth_shards
from orn.shared.cli import main
from orn.shared.jobs.lock import lock_path
from orn.shared.tensors import read_tensors
from orn.stage2_train.frames.make_clips import make_clips
from orn.stage2_train.frames.request import ClipsRequest
from orn.stage2_train.runs.checkpoint import BEST_NAME, load_last
from orn.stage2_train.runs.run_folder import LAST_NAME, METRICS_NAME, read_jsonl

_FILMS = (24, 8, 0)
_RECIPE = (
    *("model.base_width=4", "model.relation_width=16", "data.crop=[32,32]"),
    *("optimiser.batch_size=2", "phases.object_head_epochs=4", "phases.epochs=4"),
    *("phases.hand_over=best", "validation.every_epochs=2", "log_every_steps=2"),
    "checkpoint_every_steps=3",
)
_PHASES = 2
_CLOCK = ("clips_per_second", "seconds")
_WAYS = ("all SIGKILL", "all SIGKILL", "last SIGKILL", "all SIGTERM")
_MOST_TRAININGS = 100
_IMPORTED = ["orn.stage2_train.training.train", "torch.utils.tensorboard", "torch._dynamo"]


def made_training(folder: Path) -> list[str]:
    """Draws the films, stores frames and objects; the words behind `orn`, without `--run`."""
    data, shards, clips = folder / "data", folder / "shards", folder / "clips"
    write_dataset("demo", data, films=_FILMS, dials=Dials(), seed=0, workers=1)
    write_truth_shards("demo", data, shards)
    make_clips(ClipsRequest(manifest="demo", data_root=data, out=clips))
    settings = [word for each in _RECIPE for word in ("--set", each)]
    places = ("--data", str(data), "--shards", str(shards), "--clips", str(clips))
    machine = ("--workers", "0", "--threads", "1", "--device", "cpu")
    return ["train", "demo", *places, *settings, *machine]


def kill_trials(
    command: Sequence[str], folder: Path, *, trials: int, processes: int, seed: int
) -> list[dict[str, Any]]:
    """The kills, and whether the training that each was in came to the same, in order.

    Args:
        command: of a training, without `--run`.
        folder: where each training gets a folder of its own.
        trials: number of kills.
        processes: that train together.
        seed: of the moments.

    Raises:
        RuntimeError: if trainings end before they are killed.
    """
    whole = folder / "whole"
    group = _started(command, whole, processes)
    began = time.perf_counter()
    _check_ended(group, whole)
    length_seconds = time.perf_counter() - began
    generator = np.random.default_rng(seed)
    found: list[dict[str, Any]] = []
    for number in range(_MOST_TRAININGS):
        run = folder / f"training-{number:02d}"
        kills: list[dict[str, Any]] = []
        while len(found) + len(kills) < trials:
            way = _WAYS[(len(found) + len(kills)) % len(_WAYS)]
            delay = generator.uniform(0, length_seconds / 2)
            kill = _kill(_started(command, run, processes), run, delay, way=way)
            if kill is None:
                break
            kills.append({"training": number, **kill})
        _check_ended(_started(command, run, processes), run)
        same = same_training(whole, run) and not temporaries_left(run)
        found += [{**kill, "same": same} for kill in kills]
        if len(found) == trials:
            return found
    raise RuntimeError(f"{folder}: {_MOST_TRAININGS} trainings ended before they were killed")


def _started(command: Sequence[str], run: Path, number: int) -> list[BaseProcess]:
    """So many processes that train together, once the first of them holds the run."""
    sign = lock_path(run / LAST_NAME)
    sign.unlink(missing_ok=True)  # of one that was killed
    run.parent.mkdir(parents=True, exist_ok=True)
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    context = get_context("forkserver")
    context.set_forkserver_preload(_IMPORTED)
    group: list[BaseProcess] = []
    for rank in range(number):
        words = (*command, "--run", str(run))
        place = {"WORLD_SIZE": number, "RANK": rank, "LOCAL_RANK": rank, "MASTER_PORT": port}
        group.append(context.Process(target=_train, args=(words, place if number > 1 else {})))
        group[-1].start()
    while not sign.exists() and all(process.is_alive() for process in group):
        time.sleep(0.005)
    return group


def _train(words: Sequence[str], place: Mapping[str, int]) -> None:
    """What a forked process does: `orn` with these words; what it says goes to a file."""
    os.environ |= {name: str(value) for name, value in place.items()}
    os.environ["MASTER_ADDR"] = "127.0.0.1"
    said = os.open(
        f"{words[-1]}.said-{place.get('RANK', 0)}", os.O_CREAT | os.O_WRONLY | os.O_TRUNC
    )
    os.dup2(said, 1)
    os.dup2(said, 2)
    main(words)


def _check_ended(group: Sequence[BaseProcess], run: Path) -> None:
    """Waits until all have ended well."""
    for process in group:
        process.join()
        if process.exitcode != 0:
            said = run.with_name(f"{run.name}.said-0").read_text()
            raise RuntimeError(f"{run}: failed with {process.exitcode}: {said[-2000:]}")


def _kill(
    group: Sequence[BaseProcess], run: Path, delay: float, *, way: str
) -> dict[str, Any] | None:
    """Kills a training; None if it had ended by then.

    Raises:
        RuntimeError: if some of it do not end.
    """
    wait([process.sentinel for process in group], delay)
    running = [process for process in group if process.is_alive()]
    if len(running) < len(group):
        _check_ended(group, run)
        return None
    which, name = way.split()
    for process in running if which == "all" else running[-1:]:
        if process.pid is not None:
            os.kill(process.pid, signal.Signals[name])
    for process in group:
        process.join(GONE_SECONDS)
        if process.is_alive():
            raise RuntimeError(f"{run}: is trained {GONE_SECONDS:g} s after it was killed ({way})")
    last = load_last(run, mend=False)
    if last is not None and last.state.is_finished(_PHASES):
        return None
    return {
        "killed": way,
        "killed_after_seconds": round(delay, 3),  # counted from when it held its folder
        "step": 0 if last is None else last.state.step,  # of the last checkpoint
        "phase": 0 if last is None else last.state.phase + int(last.state.phase_over),
        "logged_step": max((line["step"] for line in read_jsonl(run / METRICS_NAME)), default=0),
        "temporaries_left": temporaries_left(run),
    }


def same_training(one: Path, other: Path) -> bool:
    """Whether checkpoints and logs of two runs are equal to the bit, but for the clock."""
    for name in (LAST_NAME, BEST_NAME):
        (ours, of_ours), (theirs, of_theirs) = (
            read_tensors(run / name, what="a checkpoint", remedy="train it again")
            for run in (one, other)
        )
        if of_ours != of_theirs or ours.keys() != theirs.keys():
            return False
        if not all(torch.equal(ours[each], theirs[each]) for each in ours):
            return False
    return _log_of(one) == _log_of(other)


def _log_of(run: Path) -> list[dict[str, Any]]:
    lines = read_jsonl(run / METRICS_NAME)
    return [{name: line[name] for name in line if name not in _CLOCK} for line in lines]


def largest_loss_difference(command: Sequence[str], folder: Path) -> float:
    """Of two processes from one that averages two batches, over all steps."""
    command = [*command, "--set", "model.relation_frames=same", "--set", "log_every_steps=1"]
    losses = []
    for processes, batches in ((2, 1), (1, 2)):
        run = folder / f"{processes}-processes"
        words = [*command, "--set", f"optimiser.accumulation={batches}"]
        _check_ended(_started(words, run, processes), run)
        losses.append([line["loss"] for line in _log_of(run) if line["group"] == "train"])
    return float(np.abs(np.subtract(losses[0], losses[1])).max())


@click.command()
@tool("kill_train", good="same")
def kill_train(folder: Path, *, trials: int, seed: int) -> dict[str, Any]:
    """Kill `orn train` TRIALS times at random moments, with one process and with two, and check
    what it completes to."""
    began = time.perf_counter()
    command = made_training(folder)
    found = {
        number: kill_trials(
            command, folder / f"{number}", trials=trials, processes=number, seed=seed
        )
        for number in (1, 2)
    }
    return {
        "same": min(sum(kill["same"] for kill in kills) for kills in found.values()),
        "loss_difference": largest_loss_difference(command, folder / "agree"),
        "seconds": round(time.perf_counter() - began),
        **{
            f"with_{number}_processes": {
                "in_first_phase": sum(kill["phase"] == 0 for kill in kills),
                "each": kills,
            }
            for number, kills in found.items()
        },
    }


if __name__ == "__main__":
    kill_train()
