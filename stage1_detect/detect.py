"""The implementation of `orn detect`: plan the job, load the detector, run the missing units, and
summarize their shards."""

import logging
import time
from collections import Counter
from collections.abc import Callable, Iterable
from contextlib import suppress
from dataclasses import asdict, dataclass
from functools import lru_cache, partial
from itertools import chain, islice
from pathlib import Path
from typing import Any

from orn.data_manifests.load import data_root_of, files_of, load_dataset, load_manifest
from orn.data_manifests.records import Dataset
from orn.shared.devices import usual_batch_size
from orn.shared.environment import usable_cores
from orn.shared.errors import DetectorError, PipelineError
from orn.shared.estimates import BYTES, estimated_seconds
from orn.shared.jobs.engines import IN_THIS_PROCESS, choose_engine
from orn.shared.jobs.outputs import default_folder
from orn.shared.jobs.parts import locked_job
from orn.shared.jobs.run_units import Engine, Job, run_units
from orn.shared.shards.shard import Shard
from orn.shared.shards.shard_format import SHARD_FILES, DetectorEntry
from orn.shared.text import counted, first_few
from orn.shared.video.read import read_frames
from orn.stage1_detect.choose_detector import REMEDY, check_same_detector, choose_files
from orn.stage1_detect.detect_request import DetectRequest, Scope
from orn.stage1_detect.detect_unit import Detector, DetectWork
from orn.stage1_detect.plan_detection import plan_job
from orn.stage1_detect.shard_job import open_shards, summarize_shards

logger = logging.getLogger(__name__)


def run_detection(request: DetectRequest) -> dict[str, Any]:
    """Detect objects in the videos of a data set, write the missing shards, and return the
    summary."""
    inputs = _read_inputs(request)
    load, device = _loader(inputs), inputs.engine.own_device
    # Download weights before any process or actor starts, so that they are in the machine's cache.
    detector = load(device or "cpu")
    plan = partial(inputs.plan, detector.entry)
    with locked_job(SHARD_FILES, inputs.folder, request.part, plan) as job:
        return write_missing_shards(
            job,
            inputs.data,
            request.scope,
            load=load,
            entry=detector.entry,
            engine=inputs.engine,
        )


def describe_detection(request: DetectRequest, dataset: Dataset | None = None) -> dict[str, Any]:
    """Return the settings and the amount of work as a JSON object; nothing is written or
    downloaded. If the weights are here, the time is measured on a few frames.

    Args:
        request: the options.
        dataset: the data set, if it is open already.
    """
    from orn.stage1_detect.mmdet.zoo import find_config, weights_to_fetch

    inputs = _read_inputs(request, dataset)
    data, config, checkpoint = inputs.data, inputs.config, inputs.checkpoint
    job = inputs.plan()
    frames = round(sum(unit.frames for unit in job.to_do))
    url = None
    if checkpoint is None:
        checkpoint, url = weights_to_fetch(find_config(config), remedy=REMEDY)
    measured = None if url else _measured_seconds(inputs, job, frames)
    work, device = f"detect {find_config(config).stem}", inputs.engine.device_type or "cpu"
    return job.describe(
        config=config,
        checkpoint=None if checkpoint is None else str(checkpoint),
        to_fetch=url,
        score_threshold=request.score_threshold,
        frames=job.plan.frames,
        rate=request.scope.rate,
        unit_frames=request.scope.unit_frames,
        videos=len({part.video_id for unit in job.units for part in unit.parts}),
        missing=len(data.missing),
        unlabeled=request.scope.num_unlabeled(data),
        frames_to_do=frames,
        estimated_bytes=round(frames * BYTES["detect"]),
        estimated_seconds=measured or estimated_seconds(work, frames, device=device),
    )


def _measured_seconds(inputs: "_Inputs", job: Job, frames: int) -> float | None:
    """Return the seconds for frames on this machine, from the second of two batches of the first
    video; None if there is nothing to do, or if no process here can detect objects in it."""
    device, first = inputs.engine.own_device, [unit.parts[0].video_id for unit in job.to_do[:1]]
    video = next((video for video in inputs.data.videos if video.id in first), None)
    if video is None or device is None:
        return None
    seconds, size = 0.0, inputs.batch_size
    with suppress(PipelineError):  # which detection reports
        detector = _loader(inputs)(device)
        images = [
            frame.image for frame in islice(read_frames(video.path, rate=video.rate), 2 * size)
        ]
        for batch in (images[:size], images[size:]):
            began = time.perf_counter()
            for result in detector.infer([detector.prepare(image) for image in batch]):
                detector.encode(result)
            seconds = (time.perf_counter() - began) / max(len(batch), 1)
    return round(frames * seconds / (usable_cores() if device == "cpu" else 1), 3) or None


@dataclass(frozen=True, slots=True, kw_only=True)
class _Inputs:
    """What a detect job starts from."""

    request: DetectRequest
    data: Dataset
    folder: Path
    """Output folder of the shards."""
    engine: Engine
    config: str
    """Name or file of the detector's config."""
    checkpoint: Path | None
    """The detector's weights; None for those published for the config."""

    @property
    def batch_size(self) -> int:
        return self.request.batch_size or usual_batch_size(self.engine.device_type)

    def plan(self, entry: DetectorEntry | None = None) -> Job:
        """Return the planned job; nothing is written.

        Args:
            entry: the entry of the loaded detector, on which the shards depend, if it is loaded.
        """
        request, root = self.request, self.request.data_root
        if root is None:
            root = data_root_of(load_manifest(request.dataset), None)
        settings: dict[str, Any] = {"threads": request.threads}
        if self.engine.device_type is not None:
            settings["device"] = self.engine.device_type
        if entry is not None:
            settings["detector"] = asdict(entry)
        job = plan_job(
            self.data,
            folder=self.folder,
            data_root=root,
            scope=request.scope,
            settings=settings,
            fresh=request.fresh,
            retry_failed=request.retry_failed,
        )
        return job if request.part is None else request.part.of(job)


def _read_inputs(request: DetectRequest, data: Dataset | None = None) -> _Inputs:
    """Read the manifest, choose the folder, the engine and the detector, and compare them with the
    shards in the folder; no weights are downloaded and no video is opened."""
    if data is None:
        data = load_dataset(request.dataset, request.data_root, labels=False, needs_videos=True)
    if data.missing:
        num_listed = len(data.videos) + len(data.missing)
        logger.warning(
            "%s: %d of %s missing in %s (such as %s); continuing without them",
            data.name,
            len(data.missing),
            counted(num_listed, "listed video is", "listed videos are"),
            data.root,
            first_few(data.missing),
        )
    folder = request.out or default_folder("shards", data.name)
    given = (Path(path) for path in (request.config, request.checkpoint) if path)
    reads = chain(given, files_of(request.dataset, request.data_root))
    SHARD_FILES.check_folder(folder, reads=reads, fresh=request.fresh)
    engine = choose_engine(request.engine, device=request.device, error=DetectorError)
    config, checkpoint = choose_files(
        data.detector, config=request.config, checkpoint=request.checkpoint
    )
    inputs = _Inputs(
        request=request,
        data=data,
        folder=folder,
        engine=engine,
        config=config,
        checkpoint=checkpoint,
    )
    if not request.fresh:
        check_same_detector(folder, config, checkpoint, request, inputs.batch_size)
    return inputs


def _loader(inputs: _Inputs) -> Callable[..., Detector]:
    """Return the function that loads the detector on a device; it can be pickled."""
    request = inputs.request
    return partial(
        _load,
        config=inputs.config,
        checkpoint=inputs.checkpoint,
        score_threshold=request.score_threshold,
        precision=request.precision,
        batch_size=inputs.batch_size,
        frame_rate=request.scope.rate,
        threads=request.threads,
        remedy=REMEDY,
    )


@lru_cache(maxsize=1)
def _load(device: str, **settings: Any) -> Detector:
    """Load a detector once in this process; for arguments, see `load_detector`."""
    from orn.stage1_detect.mmdet.detector import load_detector

    return load_detector(device, **settings)


def write_missing_shards(
    job: Job,
    dataset: Dataset,
    scope: Scope,
    *,
    load: Callable[[str], Detector],
    entry: DetectorEntry,
    engine: Engine = IN_THIS_PROCESS,
) -> dict[str, Any]:
    """Process the units whose shards are missing; save and return a summary.

    Args:
        job: the planned job.
        dataset: the data set.
        scope: requested frames.
        load: returns the detector on the named device.
        entry: the detector's entry in the shards.
        engine: engine that runs the units.

    Returns:
        The fields of `summarize_shards`, the number of `missing` and `unlabeled` videos,
        `missing_ids`, and the videos with fewer frames than their header declares (`short`; none
        unless this job processes all frames).
    """
    videos = {video.id: video for video in dataset.videos}
    work = DetectWork(load=load, entry=entry, videos=videos, folder=job.folder)
    result = run_units(job, work, engine, task="detect", steps="frames")
    shards = open_shards(job)
    is_whole = scope.frames == "all" and scope.rate is None and not job.is_part
    summary = summarize_shards(
        job,
        result,
        shards,
        missing=len(dataset.missing),
        missing_ids=[*dataset.missing],
        unlabeled=scope.num_unlabeled(dataset),
        short=_short_videos(shards.values()) if is_whole else [],
    )
    if summary["empty_frames"] > summary["frames"] / 2:  # wrong weights, or a high threshold
        logger.warning(
            "%s: %s of %s without detections; check the detector, its weights and "
            "--score-threshold, and look at them with `orn inspect`",
            job.folder,
            f"{summary['empty_frames']:,}",
            counted(summary["frames"], "frame is", "frames are"),
        )
    return summary


def _short_videos(shards: Iterable[Shard]) -> list[str]:
    """Return the videos with fewer frames in their shards than their header declares."""
    left: Counter[str] = Counter()
    for video in (video for shard in shards for video in shard.videos):
        left.setdefault(video.id, video.header_frames or 0)
        left[video.id] -= video.frames
    return [video_id for video_id, frames in left.items() if frames > 0]
