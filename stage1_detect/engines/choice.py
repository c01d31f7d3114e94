"""Which engine runs a job: this process, several of this machine, or actors of a Ray cluster."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TypeAlias

from shared.errors import ConfigError
from shared.manifests.records import Video
from shared.shards.plan import Unit
from stage1_detect.detector import Detector
from stage1_detect.engines.local import run_units
from stage1_detect.engines.processes import run_units_in_processes
from stage1_detect.pipeline import UnitResult

__all__ = [
    "Engine",
    "LocalEngine",
    "RayEngine",
    "choose_engine",
    "device_type",
    "driver_device",
    "joined_engine",
    "run_on",
]


@dataclass(frozen=True, slots=True, kw_only=True)
class LocalEngine:
    """Processes of this machine."""

    load: Callable[[str], Detector]
    """Makes the detector on the device of this name; must survive pickling."""
    devices: tuple[str, ...]
    """The device of each process; with one, this process does the work itself."""


@dataclass(frozen=True, slots=True, kw_only=True)
class RayEngine:
    """Actors of a Ray cluster."""

    load: Callable[[str], Detector]
    """Makes the detector on the device of this name; must survive pickling."""
    device: str
    """`cpu`, `cuda`, or `auto`: GPUs where the cluster has any."""
    workers: int | None
    """Number of actors; None: one a GPU, or one a core."""
    address: str | None
    """Address of a cluster; None: one that is started for this job, on this machine."""


Engine: TypeAlias = LocalEngine | RayEngine


def choose_engine(
    name: str,
    *,
    load: Callable[[str], Detector],
    device: str,
    workers: int | None,
    address: str | None,
) -> Engine:
    """The engine that the command line asks for.

    Raises:
        ConfigError: the options do not go together.
        DetectorError: there is no such device here, with the local engine.
    """
    if name == "ray":
        if device not in ("auto", "cpu", "cuda"):
            raise ConfigError(
                f"--engine ray: wanted --device auto, cpu or cuda, found {device!r}; Ray chooses "
                "the GPU of each actor"
            )
        return RayEngine(load=load, device=device, workers=workers, address=address)
    if address is not None:
        raise ConfigError(f"--address {address}: only --engine ray has one")
    from stage1_detect.mmdet.devices import devices_of_workers

    return LocalEngine(load=load, devices=devices_of_workers(device, workers))


def driver_device(engine: Engine) -> str | None:
    """The device on which this process detects; None if it leaves that to others."""
    if isinstance(engine, RayEngine):
        return None
    has_several_gpus = len(engine.devices) > 1 and engine.devices[0] != "cpu"
    return None if has_several_gpus else engine.devices[0]


def device_type(engine: Engine) -> str | None:
    """`cpu` or `cuda`; None where a Ray cluster decides."""
    if isinstance(engine, RayEngine):
        return None if engine.device == "auto" else engine.device
    return engine.devices[0].partition(":")[0]


@contextmanager
def joined_engine(engine: Engine) -> Iterator[None]:
    """Joins the Ray cluster of the engine while the block runs, for a job that is to fail before
    the block or not at all for want of it; `run_on` within the block uses the same.

    Raises:
        ConfigError: there is no such cluster, or it has no GPU where one is asked for.
        DetectorError: ray is missing.
    """
    if not isinstance(engine, RayEngine):
        yield
        return
    from stage1_detect.engines.ray_cluster import count_actors, import_ray, joined

    ray = import_ray()
    with joined(ray, engine.address):
        count_actors(ray.cluster_resources(), device=engine.device, workers=engine.workers)
        yield


def run_on(
    engine: Engine | None,
    units: Sequence[Unit],
    *,
    detector: Detector,
    videos: Mapping[str, Video],
    folder: Path,
    batch: int,
    advance: Callable[[int], None],
) -> Iterator[UnitResult]:
    """Detects the units; each result is handed out when its shard is on the disk.

    Args:
        engine: who detects; None: this process.
        units: what is still to do.
        detector: the detector of this process; of one that leaves detecting to others
            (`driver_device`), only the entry is asked for.
        videos: the videos of the plan by id.
        folder: where the shards go.
        batch: most frames that the network sees at once.
        advance: called with numbers of frames now and then.
    """
    match engine:
        case RayEngine():
            from stage1_detect.engines.ray_engine import run_units_on_ray

            return run_units_on_ray(
                units,
                engine=engine,
                entry=detector.entry,
                videos=videos,
                folder=folder,
                batch=batch,
                advance=advance,
            )
        case LocalEngine(load=load, devices=devices) if driver_device(engine) is None or (
            len(devices) > 1 and len(units) > 1
        ):
            return run_units_in_processes(
                units,
                load=load,
                devices=devices,
                videos=videos,
                folder=folder,
                batch=batch,
                advance=advance,
            )
        case _:
            return run_units(
                units,
                detector=detector,
                videos=videos,
                folder=folder,
                batch=batch,
                advance=advance,
            )
