"""Engine that runs the units of a job on a Ray cluster, with one actor per GPU or CPU core.

Each actor gets one unit at a time and writes to the output folder, which must be on storage shared
by all machines. Ray restarts lost actors as soon as resources are available, and their units are
repeated. Idle actors are terminated to free resources.
"""

import contextlib
import logging
import os
import socket
import sys
from collections import deque
from collections.abc import Generator, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cached_property, partial
from pathlib import Path
from typing import Any

from orn.shared.errors import ConfigError, PipelineError
from orn.shared.escaped_text import use_lines_in_worker
from orn.shared.jobs.atomic_file import remove_temporaries
from orn.shared.jobs.plan import Unit
from orn.shared.jobs.run_units import Advance, UnitFunction, UnitResult, UnitRunner, Work
from orn.shared.jobs.workers import terminated_as_interrupted
from orn.shared.text import first_few

MOST_ATTEMPTS = 3
"""Number of actors that a unit may crash before the job fails."""

_POLL_SECONDS = 0.5
_STORE_BYTES = 128 * 2**20
"""Size of Ray's object store, which holds only units and counts."""
_REACHED_SECONDS = 5.0


@dataclass(frozen=True, slots=True, kw_only=True)
class RayEngine:
    """Engine that runs units in actors on a Ray cluster."""

    device: str = "cpu"
    """`cpu`, `cuda`, or `auto`: GPUs if the cluster has any."""
    workers: int | None = None
    """Number of actors; None: one per GPU or CPU core."""
    address: str | None = None
    """Address of a cluster; None: a new cluster on this machine for this job."""

    @property
    def own_device(self) -> None:
        """None, because actors do the work."""
        return

    @property
    def device_type(self) -> str | None:
        """`cpu` or `cuda`; None if the cluster decides."""
        return None if self.device == "auto" else self.device

    @contextmanager
    def ready(self, work: Work, num_units: int) -> Iterator[UnitRunner]:
        """Context manager that connects to the cluster and terminates all actors on exit.

        Paths in the work must be valid on every machine.

        Raises:
            ConfigError: if there is no cluster, or it has no GPU and one is required.
            PipelineError: if ray is not installed; later, if a unit crashed MOST_ATTEMPTS actors or
                an actor cannot open the work.
        """
        ray = _import_ray()
        with joined_cluster(ray, self.address):
            size, device = count_actors(
                ray.cluster_resources(), device=self.device, workers=self.workers
            )
            actor_class = ray.remote(
                num_cpus=1,
                num_gpus=1 if device == "cuda" else 0,
                max_restarts=-1,
                max_task_retries=MOST_ATTEMPTS - 1,
            )(_UnitActor)
            arguments = (ray.put(work), device, str(Path.cwd()))
            actors = [actor_class.remote(*arguments) for _ in range(min(size, num_units))]
            try:
                yield partial(_in_actors, ray, work, actors)
            finally:
                for actor in actors:
                    with contextlib.suppress(ray.exceptions.RayError):
                        ray.kill(actor)


def _import_ray() -> Any:
    """Import ray with usage statistics disabled."""
    os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")
    try:
        import ray
    except ModuleNotFoundError as err:
        raise PipelineError(
            "--engine ray requires the package ray, which is not installed; run:  pip install "
            "'object-relation-network[ray]'"
        ) from err
    return ray


@contextmanager
def joined_cluster(ray: Any, address: str | None) -> Iterator[None]:
    """Context manager that connects this process to a cluster as a driver.

    Args:
        ray: the package.
        address: `HOST:PORT`, or `auto` for the cluster on this machine; None starts one for the
            block. An existing connection is kept.

    Raises:
        ConfigError: if there is no cluster at the address.
    """
    if ray.is_initialized():
        yield
        return
    own = {"include_dashboard": False, "object_store_memory": _STORE_BYTES} if not address else {}
    try:
        _check_reachable(address or "")
        ray.init(address=address or "local", logging_level=logging.WARNING, **own)
    except (OSError, OverflowError, ValueError, RuntimeError) as err:
        where = f"at {address}" if address else "on this machine"
        raise ConfigError(
            f"no Ray cluster {where} ({err}); correct RAY_ADDRESS, or start a cluster: ray start "
            "--head --port 6379, and on every other machine: ray start --address HOST:6379"
        ) from err
    try:
        yield
    finally:
        ray.shutdown()


def _check_reachable(address: str) -> None:
    """Fail fast if nothing listens at an address; Ray itself would retry for minutes."""
    host, _, port = address.rpartition(":")
    if host and port.isdecimal():
        socket.create_connection((host, int(port)), timeout=_REACHED_SECONDS).close()


def count_actors(
    resources: Mapping[str, float], *, device: str, workers: int | None
) -> tuple[int, str]:
    """Return the number of actors, one per GPU or CPU core by default, and the device of each.

    Args:
        resources: resources of the cluster as reported by Ray.
        device: `cpu`, `cuda`, or `auto`: GPUs if the cluster has any.
        workers: requested number of actors, or None.

    Raises:
        ConfigError: if GPUs are required and the cluster has none.
    """
    gpus = int(resources.get("GPU", 0))
    if device == "cuda" and not gpus and workers is None:
        raise ConfigError(
            "--device cuda: the Ray cluster has no GPU; omit --device, or set the number of GPUs "
            "to wait for with --workers"
        )
    if device == "cuda" or (device == "auto" and gpus):
        return workers or gpus, "cuda"
    return workers or max(1, int(resources.get("CPU", 0))), "cpu"


class _UnitActor:
    """Actor that processes units."""

    def __init__(self, work: Work, device: str, folder: str) -> None:
        """Store the work, which is opened later so that its errors are propagated.

        Changes to the driver's working directory if it exists, so that relative paths agree.
        """
        use_lines_in_worker()
        with contextlib.suppress(OSError):
            os.chdir(folder)
        self._work = work
        self._device = device

    @cached_property
    def _write_unit(self) -> UnitFunction:
        return self._work.open(self._device)

    def do(self, unit: Unit | None) -> UnitResult | None:
        """Write the file of a unit; None: only open the work. Stdout is redirected, because Ray
        would forward it to the driver."""
        with contextlib.redirect_stdout(sys.stderr):
            if unit is None:
                _ = self._write_unit
                return None
            remove_temporaries(self._work.path(unit))  # files of lost actors
            return self._write_unit(unit, lambda steps: None)


def _in_actors(
    ray: Any, work: Work, actors: Sequence[Any], units: Sequence[Unit], advance: Advance
) -> Generator[UnitResult]:
    """Yield results in order of completion; an actor gets units once it has opened the work."""
    at_work: dict[Any, tuple[Any, Unit | None]] = {
        actor.do.remote(None): (actor, None) for actor in actors
    }
    queue, num_left = deque(units), len(units)
    try:
        while num_left:
            with terminated_as_interrupted():
                done, _ = ray.wait(list(at_work), timeout=_POLL_SECONDS)
            for task in done:
                actor, unit = at_work[task]
                result = _result(ray, work, task, unit)
                del at_work[task]
                if queue:
                    following = queue.popleft()
                    at_work[actor.do.remote(following)] = actor, following
                else:
                    ray.kill(actor)
                if result is not None:
                    num_left -= 1
                    advance(result.steps)
                    yield result
    finally:
        for actor, unit in at_work.values():
            with contextlib.suppress(ray.exceptions.RayError):
                ray.kill(actor)
            if unit is not None:
                remove_temporaries(work.path(unit))


def _result(ray: Any, work: Work, task: Any, unit: Unit | None) -> UnitResult | None:
    """Return the result of a finished task."""
    try:
        result: UnitResult | None = ray.get(task)
    except ray.exceptions.RayTaskError as err:
        raise (err.cause if isinstance(err.cause, Exception) else err) from err
    except ray.exceptions.RayError as err:
        what = "an actor that was starting"
        if unit is not None:
            names = first_few([part.video_id for part in unit.parts], 3)
            what = f"unit {unit.index} ({names}) of {work.path(unit).parent}"
        reason = str(err).strip().partition("\n")[0]
        raise PipelineError(
            f"{what} crashed {MOST_ATTEMPTS} actors ({reason}); finished files remain; check the "
            "memory and the Ray logs of the machines, and these videos"
        ) from err
    return result
