"""`orn bench gpu`: everything that there is to know of a card, in the order of worth, in one visit.

A machine with a card may be at hand for minutes. So each measurement is a file that appears when it
is done; what fails is written down, with its reason, and the next one goes on; what is there is not
done again. Measurements run in a process of their own, which can be ended when the time is over,
and which is a new one after a failure, as a card's error spoils all that comes after it.
"""

import contextlib
import json
import multiprocessing
import os
import signal
import tempfile
import time
import traceback
from collections.abc import Mapping
from concurrent.futures import ProcessPoolExecutor, wait
from concurrent.futures.process import BrokenProcessPool
from pathlib import Path
from typing import Any

import click

from orn.benchmarks.harness import Measure, Setting, describe_machine
from orn.shared.cli_options import NumberRange, device_option, echo, echo_json, json_option
from orn.shared.jobs.atomic_file import write_text
from orn.shared.jobs.outputs import check_output_folder
from orn.shared.jobs.termination import terminated_as_interrupted

_PARTLY_FAILED = 3


def cells(device: str, *, short: bool) -> dict[str, Measure]:
    """All measurements of a device by the names of their records, the ones that are worth most
    first."""
    from orn.benchmarks import gpu_detect, gpu_train

    return {
        "machine": gpu_detect.measure_machine,
        **dict(gpu_detect.cells(device, short=short)),
        **dict(gpu_train.cells(device, short=short)),
        "two-processes": gpu_detect.measure_two_processes,
    }


@click.command("gpu")
@click.option(
    "--out",
    type=click.Path(path_type=Path, file_okay=False),
    required=True,
    help="Folder of the records, one a measurement; those that are there stay.",
)
@click.option(
    "--minutes", type=NumberRange(0, 10**4), default=8.0, show_default=True, help="Time for all."
)
@click.option("--short", is_flag=True, help="Small pictures and few frames, to see that it runs.")
@click.option(
    "--only",
    multiple=True,
    metavar="PREFIX",
    help="Measurements whose names begin so, such as stages; may be repeated.",
)
@device_option
@json_option
def gpu(
    out: Path, minutes: float, short: bool, only: tuple[str, ...], device: str, as_json: bool
) -> int:
    """Measure detection and training on a card against references.

    Versions and card; shards of the card against those of the CPU in every precision; the time of
    each part of detect; frames a second in batches of 1 to 16 against a loop of inference_detector;
    training steps against the plain network; the loader; two processes on one card; an exact
    resume. The most important first, each in a file of its own as soon as it is known: the same
    command again does what is missing. Ends with 3 if something failed or time was too short.
    """
    from orn.shared.devices import choose_device

    name = choose_device(device)
    check_output_folder(out, ours=["*.json"])
    out.mkdir(parents=True, exist_ok=True)
    chosen = {
        cell: measure
        for cell, measure in cells(name, short=short).items()
        if cell.startswith(only or "")
    }
    if not chosen:
        raise click.UsageError(f"--only {' '.join(only)}: no measurement begins so")
    with tempfile.TemporaryDirectory() as folder, terminated_as_interrupted():
        setting = Setting(device=name, short=short, work=Path(folder), out=out.absolute())
        told = run_cells(chosen, setting, deadline=time.monotonic() + 60 * minutes)
    if as_json:
        echo_json(told)
    return 0 if all(line["state"] in ("done", "there") for line in told) else _PARTLY_FAILED


def run_cells(
    chosen: Mapping[str, Measure], setting: Setting, *, deadline: float
) -> list[dict[str, Any]]:
    """Measures in turn, until `deadline` of `time.monotonic`; what became of each, by `name`,
    `state` (`done`, `there`, `failed` or `no time`) and `told`."""
    told: list[dict[str, Any]] = []

    def tell(cell: str, state: str, text: str) -> None:
        told.append({"name": cell, "state": state, "told": text})
        echo(f"{cell}: {text if state == 'done' else f'{state} {text}'.strip()}", err=True)

    with contextlib.closing(_Worker(setting)) as worker:
        for cell, measure in chosen.items():
            path, failed_path = (setting.out / f"{cell}{end}" for end in (".json", ".failed.json"))
            if path.is_file():
                tell(cell, "there", json.loads(path.read_text())["headline"])
                continue
            if time.monotonic() >= deadline:
                tell(cell, "no time", "")
                continue
            began = time.monotonic()
            record, reason, trace = worker.measure(measure, deadline=deadline)
            if record is None:
                document = {"cell": cell, "reason": reason, "trace": trace}
                write_text(failed_path, json.dumps(document, indent=2) + "\n")
                tell(cell, "failed", reason)
                continue
            record = {"cell": cell, "wall_seconds": time.monotonic() - began, **record}
            record |= {"device": setting.device, "short": setting.short}
            record["machine"] = describe_machine()
            write_text(path, json.dumps(record, indent=2) + "\n")  # a loss may be no number
            failed_path.unlink(missing_ok=True)
            tell(cell, "done", record["headline"])
    return told


class _Worker:
    """A process that measures, started when it is needed."""

    def __init__(self, setting: Setting) -> None:
        self._setting = setting
        self._pool: ProcessPoolExecutor | None = None

    def measure(
        self, measure: Measure, *, deadline: float
    ) -> tuple[dict[str, Any] | None, str, str]:
        """The record, or None with a reason in a line and where it happened."""
        if self._pool is None:
            context = multiprocessing.get_context("spawn")
            self._pool = ProcessPoolExecutor(1, mp_context=context, initializer=_begin)
            number = self._pool.submit(os.getpid).result()
            children = multiprocessing.active_children()
            self._process = next(each for each in children if each.pid == number)
        future = self._pool.submit(measure, self._setting)
        done, _ = wait([future], max(deadline - time.monotonic(), 0))
        err = future.exception() if done else None
        if done and err is None:
            return future.result(), "", ""
        self.close()
        if not done:
            return None, "the time was over before it was done", ""
        if isinstance(err, BrokenProcessPool):
            return None, f"its process ended with {self._process.exitcode}", ""
        reason = " ".join(f"{type(err).__name__}: {err}".split())[:500]
        return None, reason, "".join(traceback.format_exception(err))

    def close(self) -> None:
        """Ends the process and those that it has started."""
        if self._pool is None:
            return
        with contextlib.suppress(ProcessLookupError):  # it has ended
            os.killpg(self._process.pid or 0, signal.SIGKILL)
        self._pool.shutdown(cancel_futures=True)
        self._pool = None


def _begin() -> None:
    """Makes the process ready."""
    os.setsid()  # so that it can be ended together with what it starts
    signal.signal(signal.SIGTERM, signal.SIG_DFL)
    os.environ.setdefault("CUBLAS_WORKSPACE_CONFIG", ":4096:8")  # for exact resuming, before CUDA
