"""Runs the units of a plan on the actors of a Ray cluster, one actor a GPU or a core.

Units are handed out one at a time. The driver writes nothing: actors write shards to the folder of
the job, which must be on storage that all machines see. An actor that is lost, with its machine or
alone, is replaced as soon as the cluster has room; its unit goes back to the front of the queue.
An actor for which there is no unit ends at once: one that waited could be lost unnoticed, and a
unit handed to it would lose an attempt.
"""

from __future__ import annotations

import contextlib
import dataclasses
import logging
from collections import Counter, deque
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from shared.errors import DetectorError
from shared.jobs.atomic_file import remove_temporaries
from shared.jobs.termination import terminated_as_interrupted
from shared.manifests.records import Video
from shared.shards.plan import Unit, shard_path
from shared.shards.schema import DetectorEntry
from stage1_detect.engines.choice import RayEngine
from stage1_detect.engines.ray_actor import ActorReady, DetectActor
from stage1_detect.engines.ray_cluster import count_actors, import_ray, joined
from stage1_detect.pipeline import UnitResult

__all__ = ["run_units_on_ray"]

logger = logging.getLogger(__name__)

MOST_ATTEMPTS = 3
"""How many actors a unit may end before the job gives up on it."""

_POLL_SECONDS = 0.5


def run_units_on_ray(
    units: Sequence[Unit],
    *,
    engine: RayEngine,
    entry: DetectorEntry,
    videos: Mapping[str, Video],
    folder: Path,
    batch: int,
    advance: Callable[[int], None] = lambda frames: None,
) -> Iterator[UnitResult]:
    """Detects units all over the cluster; each result is handed out when its shard is on the disk.

    If anything raises, ctrl-C included, the actors end; shards that are written stay.

    Args:
        units: what is still to do.
        engine: the cluster, and how an actor makes its detector.
        entry: what shards record about the detector; an actor with another one ends the job.
        videos: the videos of the plan by id; their paths must hold on every machine.
        folder: where the shards go, on storage that all machines see.
        batch: most frames that the network sees at once.
        advance: called with the number of frames of each finished unit.

    Raises:
        ConfigError: there is no such cluster, or it has no GPU where one is asked for.
        DetectorError: ray is missing, a unit ended MOST_ATTEMPTS actors, actors cannot start, or
            one has other weights or libraries than this process.
    """
    ray = import_ray()
    folder = folder.absolute()
    videos = {
        name: dataclasses.replace(video, path=video.path.absolute())
        for name, video in videos.items()
    }
    with joined(ray, engine.address):
        crew = _Crew(ray, engine=engine, entry=entry, folder=folder, videos=videos, batch=batch)
        try:
            for result in crew.run(units):
                advance(result.frames)
                yield result
        finally:
            crew.dismiss()


class _Crew:
    """The actors of a job, and what each of them is at."""

    def __init__(
        self,
        ray: Any,
        *,
        engine: RayEngine,
        entry: DetectorEntry,
        folder: Path,
        videos: Mapping[str, Video],
        batch: int,
    ) -> None:
        self._ray = ray
        self._load = engine.load
        self._entry = entry
        self._folder = folder
        self._size, device = count_actors(
            ray.cluster_resources(), device=engine.device, workers=engine.workers
        )
        needs = {"num_cpus": 1, "num_gpus": 1 if device == "cuda" else 0}
        self._actor_class = ray.remote(**needs)(DetectActor)
        self._arguments = {"device": device, "videos": ray.put(videos), "batch": batch}
        self._at_work: dict[Any, tuple[Any, Unit | None]] = {}
        self._queue: deque[Unit] = deque()
        self._losses: Counter[int | None] = Counter()

    def run(self, units: Sequence[Unit]) -> Iterator[UnitResult]:
        """Results as they come, in any order."""
        self._queue.extend(units)
        for _ in range(min(self._size, len(units))):
            self._start()
        num_left = len(units)
        while num_left:
            with terminated_as_interrupted():
                done, _ = self._ray.wait(list(self._at_work), timeout=_POLL_SECONDS)
            for task in done:
                result = self._collect(task)
                if result is not None:
                    num_left -= 1
                    yield result

    def dismiss(self) -> None:
        """Ends all actors; what they were writing is removed."""
        for actor, unit in self._at_work.values():
            self._end(actor, unit)
        self._at_work.clear()

    def _start(self) -> None:
        actor = self._actor_class.remote(**self._arguments)
        self._at_work[actor.load.remote(self._load)] = (actor, None)

    def _collect(self, task: Any) -> UnitResult | None:
        """What a finished task gave; its actor gets the next unit, or
        ends; one that is lost is replaced."""
        errors = self._ray.exceptions
        actor, unit = self._at_work.pop(task)
        try:
            outcome = self._ray.get(task)
        except errors.RayTaskError as err:
            self._end(actor, unit)
            raise (err.cause if isinstance(err.cause, Exception) else err) from err
        except errors.RayError as err:
            self._replace(actor, unit, err)
            return None
        if isinstance(outcome, ActorReady):
            self._check(outcome)
            self._losses[None] = 0
        self._go_on(actor)
        return outcome if isinstance(outcome, UnitResult) else None

    def _go_on(self, actor: Any) -> None:
        if not self._queue:
            self._end(actor, None)
            return
        unit = self._queue.popleft()
        task = actor.detect.remote(unit, shard_path(self._folder, unit.index))
        self._at_work[task] = (actor, unit)

    def _replace(self, actor: Any, unit: Unit | None, err: Exception) -> None:
        """Puts the unit of a lost actor back and starts another actor."""
        self._end(actor, unit)
        key = None if unit is None else unit.index
        self._losses[key] += 1
        reason = str(err).strip().partition("\n")[0]
        if self._losses[key] >= MOST_ATTEMPTS:
            raise DetectorError(_gave_up(unit, self._folder, reason))
        if unit is not None:
            logger.warning("unit %d goes back to the queue: its actor is lost (%s)", key, reason)
            self._queue.appendleft(unit)
        self._start()

    def _end(self, actor: Any, unit: Unit | None) -> None:
        with contextlib.suppress(self._ray.exceptions.RayError):
            self._ray.kill(actor, no_restart=True)
        if unit is not None:
            remove_temporaries(shard_path(self._folder, unit.index))

    def _check(self, ready: ActorReady) -> None:
        if ready.entry != self._entry:
            here, there = (dataclasses.asdict(entry) for entry in (self._entry, ready.entry))
            different = [
                f"{key} is {there[key]!r} there, {here[key]!r} here"
                for key in here
                if here[key] != there[key]
            ]
            raise DetectorError(
                f"machine {ready.host} of the Ray cluster has another detector: "
                f"{'; '.join(different)}; install the same versions on every machine"
            )


def _gave_up(unit: Unit | None, folder: Path, reason: str) -> str:
    if unit is None:
        return (
            f"{MOST_ATTEMPTS} actors in a row were lost before their detector was loaded "
            f"({reason}); look at the memory and the Ray logs of their machines"
        )
    names = ", ".join(part.video_id for part in unit.parts[:3])
    more = ", ..." if len(unit.parts) > 3 else ""
    return (
        f"unit {unit.index} ({names}{more}) of {folder} ended {MOST_ATTEMPTS} actors ({reason}); "
        "shards that are whole stay; look at the memory of the machines and at these videos"
    )
