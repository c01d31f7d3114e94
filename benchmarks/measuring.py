"""Shared functions of benchmarks: times, memory, agreement, the machine and the record."""

from __future__ import annotations

import argparse
import inspect
import json
import platform
import resource
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from orn.shared.devices import instruction_set
from orn.shared.environment import describe_environment
from orn.shared.errors import PipelineError
from orn.shared.jobs.atomic_file import write_text
from orn.shared.jobs.exit_codes import errors_as_exit_codes
from orn.shared.jobs.outputs import check_output_files

if TYPE_CHECKING:
    from torch import Tensor

_VERSIONS = ("torch", "torchvision", "mmdet", "mmcv-lite", "av", "zarr", "h5py", "numpy")


@dataclass(frozen=True, slots=True, kw_only=True)
class Comparison:
    """Comparison of this project with a reference, measured in one run."""

    name: str
    ours: float
    """Seconds."""
    reference: float
    """Seconds."""
    details: Mapping[str, Any]
    """Further results, and the sizes of inputs."""

    def record(self) -> dict[str, Any]:
        """Return the fields for JSON, with the machine and the ratio of reference to ours."""
        return {
            "benchmark": self.name,
            "ratio": self.reference / self.ours,
            "ours_seconds": self.ours,
            "reference_seconds": self.reference,
            **self.details,
            "machine": describe_machine(),
        }


def run(measure: Callable[..., Comparison]) -> None:
    """Measure as a script: each argument of the function is an option, and the record is printed,
    or written to the file --out."""
    parser = argparse.ArgumentParser(description=measure.__doc__)
    parser.add_argument("--out", type=Path, help="file of the record; default: standard output")
    for name, parameter in inspect.signature(measure).parameters.items():
        option, default = f"--{name.replace('_', '-')}", parameter.default
        if isinstance(default, bool):
            parser.add_argument(option, action="store_true")
        else:
            parser.add_argument(option, type=type(default), default=default)
    options = vars(parser.parse_args())
    out = options.pop("out")
    with errors_as_exit_codes():
        check_output_files([out])
        record = measure(**options).record()
        write_record(record, out) if out else print(json.dumps(record, indent=2))


def write_record(record: Mapping[str, Any], out: Path) -> None:
    """Write a record as JSON."""
    write_text(out, json.dumps(record, indent=2, allow_nan=False) + "\n")


def describe_machine() -> dict[str, Any]:
    """Return processor, cores and versions, without the names of the host or folders."""
    environment = describe_environment()
    versions = environment["versions"]
    return {
        "processor": proc_value("/proc/cpuinfo", "model name")
        or platform.processor()
        or platform.machine(),
        "instruction_set": instruction_set(),
        **{name: environment[name] for name in ("commit", "python", "platform", "cpus")},
        "cards": _cards(),
        "versions": {name: versions[name] for name in versions if name in _VERSIONS},
    }


def _cards() -> list[str]:
    """Return name, driver, memory and clock of each GPU from nvidia-smi."""
    program = shutil.which("nvidia-smi")
    if program is None:
        return []
    query = "--query-gpu=name,driver_version,memory.total,clocks.max.sm,mig.mode.current"
    words = [program, query, "--format=csv,noheader"]
    return subprocess.run(words, capture_output=True, text=True, check=False).stdout.splitlines()


def proc_value(path: str, name: str) -> str | None:
    """Return the first value for a name in a file under /proc, or None."""
    lines = Path(path).read_text().splitlines() if Path(path).is_file() else ()
    pairs = (line.partition(":") for line in lines)
    return next((value.strip() for key, _, value in pairs if key.strip() == name), None)


def seconds_in_turns(
    *ways: Callable[[], object], repeats: int, threads: int = 1
) -> tuple[float, ...]:
    """Return the median time per call of each function.

    The functions are called alternately, so that changes in the machine's speed affect all of them.
    Each measured call follows a warm-up call of the same function.

    Args:
        ways: functions, called twice in each round.
        repeats: number of rounds.
        threads: number of CPU threads for torch.
    """
    from torch.utils.benchmark import Measurement, Timer

    timers = [Timer("way()", globals={"way": way}, num_threads=threads) for way in ways]
    rounds = [[timer.blocked_autorange(min_run_time=0) for timer in timers] for _ in range(repeats)]
    return tuple(Measurement.merge(runs)[0].median for runs in zip(*rounds, strict=True))


def relative_difference(ours: Tensor | None, reference: Tensor | None) -> float:
    """Return the norm of the difference divided by the norm of the reference."""
    assert ours is not None and reference is not None
    difference = (ours.double() - reference.double()).norm()
    return float(difference / reference.double().norm().clamp(min=1e-30))


def require_agreement(difference: float, limit: float) -> float:
    """Return the difference; raise PipelineError if it exceeds the limit."""
    if not difference <= limit:
        raise PipelineError(
            f"results of both sides: expected a relative difference of at most {limit:g}, got "
            f"{difference:.2g}, so times are not comparable; run the tests (make test)"
        )
    return difference


def peak_allocated_bytes(compute: Callable[[], object]) -> int:
    """Return the peak of additional bytes that torch allocated on the CPU.

    Allocations and releases are read from the trace of torch's profiler, including gradients. The
    size of the process would also depend on freed memory that the C library keeps.
    """
    from torch.profiler import ProfilerActivity, profile

    with profile(activities=[ProfilerActivity.CPU], profile_memory=True) as profiler:
        compute()
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "trace.json"
        profiler.export_chrome_trace(str(path))
        events = json.loads(path.read_text(encoding="utf-8"))["traceEvents"]
    changes = sorted(
        (event["ts"], event["args"]["Bytes"]) for event in events if event.get("name") == "[memory]"
    )
    held = peak = 0
    for _, change in changes:
        held += change
        peak = max(peak, held)
    return peak


def peak_bytes() -> int:
    """Return the peak resident size of this process; getrusage would include the parent's size at
    the fork."""
    if value := proc_value("/proc/self/status", "VmHWM"):
        return int(value.split()[0]) * 1024
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak if sys.platform == "darwin" else peak * 1024
