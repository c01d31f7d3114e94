"""What the benchmarks share: time in turns, memory, growth, agreement, machine and result."""

from __future__ import annotations

import json
import platform
import resource
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from orn.shared.cli_options import echo, echo_json
from orn.shared.environment import describe_environment, machine_memory
from orn.shared.errors import PipelineError
from orn.shared.jobs.atomic_file import write_text

if TYPE_CHECKING:
    from torch import Tensor


_VERSIONS = ("torch", "torchvision", "mmdet", "mmcv-lite", "av", "zarr", "h5py", "numpy")
_SLOTS, _FRAMES = (5, 10, 20, 40), (4, 8, 16)
_LONGEST_SECONDS = 60.0
"""A reference that is expected to take longer is left out and recorded as null."""
_SHORT_SECONDS = 1.0
"""What takes less is measured five times more, and the median of those counts."""


@dataclass(frozen=True, slots=True, kw_only=True)
class BenchResult:
    """Ours against a reference, measured in one run."""

    name: str
    ours: float
    """What was measured of ours, in `unit`."""
    reference: float
    unit: str = "seconds"
    """`seconds` or `bytes`."""
    details: Mapping[str, Any]
    """Everything else that was measured, and the sizes that it was measured at."""

    @property
    def ratio(self) -> float:
        """How many times ours is better."""
        return self.reference / self.ours

    def as_json(self) -> dict[str, Any]:
        """The fields as JSON has them, with the machine and the versions."""
        return {
            "benchmark": self.name,
            "ratio": self.ratio,
            f"ours_{self.unit}": self.ours,
            f"reference_{self.unit}": self.reference,
            **self.details,
            "machine": describe_machine(),
        }


def publish(result: BenchResult, *, as_json: bool, out: Path | None) -> None:
    """Prints a result, as one JSON object or as lines, and keeps it in a file if one is given."""
    keep(result.as_json(), out)
    if as_json:
        echo_json(result.as_json())
        return
    echo(
        f"{result.name}: ratio {result.ratio:.3g} "
        f"(ours {result.ours:.4g} {result.unit}, reference {result.reference:.4g} {result.unit})"
    )
    for name, value in result.details.items():
        echo(f"  {name}: {value}")


def keep(record: Mapping[str, Any], out: Path | None) -> None:
    """Writes a record as JSON, where a file is given."""
    if out is not None:
        write_text(out, json.dumps(record, indent=2, allow_nan=False) + "\n")


def describe_machine() -> dict[str, Any]:
    """Processor, cores and versions; nothing that names the host or its folders."""
    environment = describe_environment()
    versions = environment["versions"]
    return {
        "processor": told_by_linux("/proc/cpuinfo", "model name")
        or platform.processor()
        or platform.machine(),
        **{name: environment[name] for name in ("commit", "python", "platform", "cpus")},
        "versions": {name: versions[name] for name in versions if name in _VERSIONS},
    }


def told_by_linux(path: str, name: str) -> str | None:
    """What stands behind a name in a file of /proc, where it comes first; None without either."""
    lines = Path(path).read_text().splitlines() if Path(path).is_file() else ()
    pairs = (line.partition(":") for line in lines)
    return next((value.strip() for key, _, value in pairs if key.strip() == name), None)


def seconds_in_turns(
    *ways: Callable[[], object],
    repeats: int,
    warm_ups: int = 1,
    clock: Callable[[], float] = time.perf_counter,
) -> tuple[float, ...]:
    """Median seconds of each way, after calls of each that do not count.

    The ways take turns, so that a machine that gets slower or faster meanwhile does so for all.
    """
    for _ in range(warm_ups):
        for way in ways:
            way()
    rounds = [[_seconds(way, clock) for way in ways] for _ in range(repeats)]
    return tuple(statistics.median(row) for row in zip(*rounds, strict=True))


def _seconds(way: Callable[[], object], clock: Callable[[], float] = time.perf_counter) -> float:
    began = clock()
    way()
    return clock() - began


@contextmanager
def using_threads(threads: int) -> Iterator[None]:
    """Lets torch compute with so many threads inside the block."""
    import torch

    before = torch.get_num_threads()
    torch.set_num_threads(threads)
    try:
        yield
    finally:
        torch.set_num_threads(before)


def relative_difference(ours: Tensor | None, reference: Tensor | None) -> float:
    """Norm of the difference over the norm of the reference."""
    assert ours is not None and reference is not None
    difference = (ours.double() - reference.double()).norm()
    return float(difference / reference.double().norm().clamp(min=1e-30))


def require_agreement(difference: float, limit: float) -> float:
    """The difference.

    Raises:
        PipelineError: if it is larger than the limit; then times mean nothing.
    """
    if not difference <= limit:
        raise PipelineError(
            f"both sides differ by {difference:.2g} of what they compute, wanted at most "
            f"{limit:g}; their times are not comparable"
        )
    return difference


def peak_allocated_bytes(compute: Callable[[], object]) -> int:
    """Most bytes that torch held at once on the CPU beyond what it held before.

    Every allocation and every release is read from the trace of torch's profiler. That counts what
    the computation asked for, gradients included; the size of the process would also depend on what
    was freed before and kept by the C library.
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
    """Most of this process that was resident; getrusage's figure would include what the parent had
    at its fork."""
    if told := told_by_linux("/proc/self/status", "VmHWM"):
        return int(told.split()[0]) * 1024
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak if sys.platform == "darwin" else peak * 1024


@dataclass(frozen=True, slots=True, kw_only=True)
class Sides:
    """What is measured at one size: a call of each is one measurement."""

    ours: Mapping[str, Callable[[], object]]
    """By name."""
    reference: Callable[[], object]
    reference_bytes: int
    """About what the reference allocates."""


def grown(
    make: Callable[[int, int], Sides], *, frames: int, slots: int, base_seconds: float
) -> list[dict[str, Any]]:
    """One row for each other K at T frames, then for each other T at K slots.

    Args:
        make: both sides at T frames and K slots.
        frames: T of the size that was measured before.
        slots: K of it.
        base_seconds: what the reference took there, from which the other sizes are guessed.
    """
    rows = []
    sizes = [(frames, other) for other in _SLOTS]
    for t, k in [*sizes, *((other, slots) for other in _FRAMES if other != frames)]:
        sides = make(t, k)
        expected = base_seconds * max(k / slots, 1) * max(t / frames, 1) ** 2
        fits = sides.reference_bytes < machine_memory() / 2 and expected < _LONGEST_SECONDS
        ours = {f"{name}_seconds": _seconds_of_ours(way) for name, way in sides.ours.items()}
        reference = _seconds(sides.reference) if fits else None
        rows.append({"frames": t, "slots": k, **ours, "reference_seconds": reference})
    return rows


def _seconds_of_ours(way: Callable[[], object]) -> float:
    """The first call of a size also chooses algorithms, which only matters to a short one."""
    first = _seconds(way)
    return first if first > _SHORT_SECONDS else seconds_in_turns(way, repeats=5, warm_ups=0)[0]


class GpuBusy:
    """The share of time in which a kernel ran, once the watching has ended."""

    share: float | None = None
    """0..1; None where there is no nvidia-smi, or the time was too short for a sample."""


@contextmanager
def watching_gpu(device: str) -> Iterator[GpuBusy]:
    """Samples the GPU of this name (`cuda`, `cuda:N`) with nvidia-smi while the block runs; does
    nothing for a CPU."""
    busy = GpuBusy()
    program = shutil.which("nvidia-smi")
    if not device.startswith("cuda") or program is None:
        yield busy
        return
    import torch

    # nvidia-smi counts all GPUs, torch only those that it may use: the uuid is the same for both.
    gpu = f"GPU-{torch.cuda.get_device_properties(torch.device(device)).uuid}"
    query = ("--query-gpu=utilization.gpu", "--format=csv,noheader,nounits", "--loop-ms=100")
    process = subprocess.Popen([program, f"--id={gpu}", *query], stdout=subprocess.PIPE, text=True)
    try:
        yield busy
    finally:
        process.terminate()
        output, _ = process.communicate()
        samples = [int(line) for line in output.split() if line.isdecimal()]
        busy.share = statistics.mean(samples) / 100 if samples else None


@dataclass(frozen=True, slots=True, kw_only=True)
class Setting:
    """Where and how large `orn bench gpu` measures."""

    device: str
    """`cpu`, `cuda` or `cuda:N`."""
    short: bool
    """Whether only to show that everything runs, on small pictures."""
    work: Path
    """Folder of made films, weights and clips."""
    out: Path
    """Folder of the records."""

    @property
    def is_cuda(self) -> bool:
        """Whether the device is a card."""
        return self.device.startswith("cuda")


Measure = Callable[[Setting], dict[str, Any]]
"""Gives a record, whose `headline` is for people; must survive pickling."""
