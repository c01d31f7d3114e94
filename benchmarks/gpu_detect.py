"""What `orn bench gpu` measures of detection: where the time goes, and frames a second."""

import shutil
import subprocess
import time
from collections import defaultdict
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from itertools import islice
from typing import Any

import torch

from orn.benchmarks.detect import LoopDetector, compare
from orn.benchmarks.detect_inputs import (
    choice_of,
    detection_of,
    film_frames,
    forget_detection,
    inputs_of,
    looked_at,
    ways_of,
)
from orn.benchmarks.gpu_equality import measure_equality
from orn.benchmarks.harness import Measure, Setting, watching_gpu
from orn.benchmarks.made_inputs import write_detections
from orn.shared.environment import usable_cores
from orn.shared.masks.detections import FrameDetections
from orn.shared.shards.writer import ShardWriter
from orn.shared.video.read import read_frames
from orn.stage1_detect.mmdet.first_stage import unwatched


def cells(device: str, *, short: bool) -> Iterator[tuple[str, Measure]]:
    """Equality, then where the time goes, then frames a second."""
    possible = ways_of(device)
    for name in possible:
        yield f"equality-{name}", partial(measure_equality, way=name)
    shown = ("fp32", "fp32-fast", "tf32-fast", "fp16-heads-fast", "bf16-heads-fast")
    for name in shown[: 2 if short else None]:
        if name in possible:
            yield f"stages-{name}", partial(measure_stages, way=name)
    yield "frames-loop", partial(measure_loop, tf32=True)
    first, *others = (1, 2) if short else (8, 16, 4, 1)
    for name in possible:
        yield f"frames-{name}-{first}", partial(measure_frames, way=name, batch=first)
    if device.startswith("cuda"):
        yield "profile-fp16-heads-fast", partial(measure_profile, way="fp16-heads-fast")
        yield "frames-loop-without-tf32", partial(measure_loop, tf32=False)
    for batch in others:
        for name in possible[: 1 if short else None]:
            yield f"frames-{name}-{batch}", partial(measure_frames, way=name, batch=batch)


def measure_machine(setting: Setting) -> dict[str, Any]:
    """Versions and the card."""
    found: dict[str, Any] = {"torch": torch.__version__, "cuda": torch.version.cuda}
    if setting.is_cuda:
        properties = torch.cuda.get_device_properties(setting.device)
        program = shutil.which("nvidia-smi")
        query = "--query-gpu=name,driver_version,memory.total,clocks.max.sm,mig.mode.current"
        said = program and subprocess.check_output([program, query, "--format=csv"], text=True)
        found |= {
            "card": properties.name,
            "memory_bytes": properties.total_memory,
            "multiprocessors": properties.multi_processor_count,
            "capability": f"{properties.major}.{properties.minor}",
            "cudnn": torch.backends.cudnn.version(),
            "nvidia_smi": said,
        }
    card = found.get("card", "no card")
    return {"headline": f"{card}, torch {torch.__version__}", "cores": usable_cores(), **found}


class _PartTimer:
    """Times named parts, each after all that came before it is done on the device."""

    def __init__(self, device: str) -> None:
        self._is_cuda = device.startswith("cuda")
        self.seconds: dict[str, float] = defaultdict(float)
        self.cpu_seconds: dict[str, float] = defaultdict(float)

    @contextmanager
    def __call__(self, name: str) -> Iterator[None]:
        began = self._now()
        yield
        ended = self._now()
        self.seconds[name] += ended[0] - began[0]
        self.cpu_seconds[name] += ended[1] - began[1]

    def _now(self) -> tuple[float, float]:
        if self._is_cuda:
            torch.cuda.synchronize()
        return time.perf_counter(), time.process_time()


def measure_stages(setting: Setting, *, way: str) -> dict[str, Any]:
    """The parts of detect one after another, each waiting for the card; `orn detect` has decoding
    and encoding beside the network."""
    inputs, detection = inputs_of(setting), detection_of(setting, way)
    detector: Any = detection.detector
    exact = getattr(detector, "exact", detector)
    batch = 8 if setting.is_cuda else 1
    count = looked_at(setting)
    for rounds in range(2):  # in the first one libraries choose their algorithms
        timer = exact.during = _PartTimer(setting.device)
        frames = iter(read_frames(inputs.video))
        with ShardWriter(detection.path, detector.entry) as writer:
            kept: list[FrameDetections] = []
            for _ in range(0, count if rounds or setting.is_cuda else batch, batch):
                with timer("decode"):
                    images = [frame.image for frame in islice(frames, batch)]
                with timer("prepare"):
                    prepared = [detector.prepare(image) for image in images]
                found = detector.infer(prepared)
                if hasattr(detector, "exact"):  # pastes when it is asked for the first one
                    found[0][0]()
                with timer("encode" if setting.is_cuda else "paste+encode"):
                    kept += [detector.encode(each) for each in found]
            with timer("write"):
                write_detections(writer, "video", kept)
    exact.during = unwatched
    parts = {name: seconds / len(kept) for name, seconds in timer.seconds.items()}
    cpu = {name: seconds / len(kept) for name, seconds in timer.cpu_seconds.items()}
    longest = sorted(parts, key=parts.__getitem__, reverse=True)[:3]
    headline = f"{1e3 * sum(parts.values()):.1f} ms a frame, most in " + ", ".join(
        f"{name} {1e3 * parts[name]:.2f}" for name in longest
    )
    return {
        "headline": headline,
        "batch": batch,
        "seconds_a_frame": parts,
        "cpu_seconds_a_frame": cpu,
        "detections_a_frame": sum(map(len, kept)) / len(kept),
    }


def _timed(setting: Setting, work: Callable[[], int], frames: int) -> dict[str, Any]:
    """What it takes to detect so many frames."""
    if setting.is_cuda:
        torch.cuda.reset_peak_memory_stats()
    with watching_gpu(setting.device) as busy:
        began, cpu_began = time.perf_counter(), time.process_time()
        detections = work()
        seconds, cpu = time.perf_counter() - began, time.process_time() - cpu_began
    return {
        "frames_per_second": frames / seconds,
        "cpu_seconds_a_frame": cpu / frames,
        "gpu_busy_share": busy.share,
        "detections_a_frame": detections / frames,
        "peak_bytes": torch.cuda.max_memory_allocated() if setting.is_cuda else None,
        "frames": frames,
    }


def measure_frames(setting: Setting, *, way: str, batch: int) -> dict[str, Any]:
    """Frames a second of `orn detect`'s pipeline over the film in batches of this size."""
    rounds, each = 1 if setting.short else 2, film_frames(setting)
    detection = detection_of(setting, way)
    look_at = partial(detection.look_at, frames=each, batch=batch)
    if setting.is_cuda:  # libraries choose their algorithms, graphs are recorded
        look_at()
        detection.run()
    look_at(rounds=rounds)
    found = _timed(setting, detection.run, each * rounds)
    share = found["gpu_busy_share"]
    busy = "" if share is None else f", card busy {share:.0%}"
    headline = f"{found['frames_per_second']:.2f} frames/s{busy}"
    return {"headline": headline, "way": way, "batch": batch, **found}


def measure_loop(setting: Setting, *, tf32: bool) -> dict[str, Any]:
    """Frames a second of a loop of mmdet's inference_detector, run lengths and pickle included;
    torch computes convolutions of float32 in TF32 unless it is told not to."""
    inputs_of(setting)  # whose threshold is searched with a detector, which sets TF32 itself
    forget_detection()
    torch.backends.cudnn.allow_tf32 = tf32
    torch.backends.cuda.matmul.allow_tf32 = False
    loop = LoopDetector(inputs_of(setting), device=setting.device)
    count = looked_at(setting)
    if setting.is_cuda:  # libraries choose their algorithms
        loop.run(count, setting.work / "loop.pkl")
    found = _timed(setting, lambda: loop.run(count, setting.work / "loop.pkl"), count)
    headline = f"{found['frames_per_second']:.2f} frames/s of inference_detector"
    return {"headline": headline, "cudnn_tf32": tf32, **found}


def measure_profile(setting: Setting, *, way: str) -> dict[str, Any]:
    """The kernels that take most of the time, and the share of it in which one runs."""
    from torch.profiler import ProfilerActivity, profile

    detection = detection_of(setting, way)
    detection.look_at(frames=looked_at(setting), batch=8)
    detection.run()
    with profile(activities=[ProfilerActivity.CPU, ProfilerActivity.CUDA]) as profiler:
        began = time.perf_counter()
        detection.run()
        seconds = time.perf_counter() - began
    averages = profiler.key_averages()
    table = averages.table(sort_by="self_device_time_total", row_limit=40, max_name_column_width=80)
    on_card = sum(each.self_device_time_total for each in averages) / 1e6
    return {
        "headline": f"kernels take {on_card / seconds:.0%} of the time",
        "kernel_seconds": on_card,
        "wall_seconds_profiled": seconds,
        "table": table.splitlines(),
    }


def measure_two_processes(setting: Setting) -> dict[str, Any]:
    """Two processes on one device, each with the first frames of the film, against the loop."""
    way = "fp16-heads-fast" if setting.is_cuda else "fp32-fast"
    precision, fast = choice_of(way)
    forget_detection()
    result = compare(
        inputs_of(setting),
        frames=film_frames(setting),
        devices=(setting.device,) * 2,
        threads=1,
        precision=precision,
        fast=fast,
        repeats=1,
    ).as_json()
    rate = result["ours_frames_per_second"]
    return {"headline": f"{rate:.2f} frames/s of two processes ({way})", "way": way, **result}
