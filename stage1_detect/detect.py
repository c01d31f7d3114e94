"""Detect objects in the videos of a data set: plan the job, load the detector, run the missing
units, and summarize their shards."""

import logging
import os
from collections.abc import Callable
from dataclasses import asdict, dataclass
from functools import lru_cache, partial
from itertools import chain
from pathlib import Path
from typing import Any

from orn.data_manifests.load import files_of, load_dataset
from orn.data_manifests.records import Dataset
from orn.shared.devices import devices_of_workers, usual_batch_size
from orn.shared.estimates import BYTES, estimated_seconds
from orn.shared.jobs.outputs import check_same_job, default_folder, start_over
from orn.shared.jobs.plan import PLAN_NAME
from orn.shared.jobs.progress import SILENT, Reporter
from orn.shared.jobs.run_units import Engine, Job, LocalEngine, job_outcome, run_units
from orn.shared.jobs.shares import locked_job
from orn.shared.shards.shard_format import SHARD_FILES, DetectorEntry
from orn.shared.text import counted, first_few
from orn.shared.text_summary import Outcome
from orn.stage1_detect.choose_detector import (
    REMEDY,
    choose_files,
    known_settings,
    load_chosen,
    name_of,
    weights_to_fetch,
)
from orn.stage1_detect.detect_config import DetectConfig
from orn.stage1_detect.detect_unit import Detector, DetectWork
from orn.stage1_detect.own_detector import (
    load_own,
    load_own_once,
    own_file,
    own_name,
    own_settings,
)
from orn.stage1_detect.plan_detection import plan_job
from orn.stage1_detect.shard_job import summarize_shards

logger = logging.getLogger(__name__)

_THREADS = 1
"""Number of CPU threads of each process, which affects rounding."""


def detect(config: DetectConfig, reporter: Reporter = SILENT) -> Outcome:
    """Detect objects in the videos of a data set and write the missing shards.

    Returns:
        The fields of `summarize_shards`, and the number of `missing` videos.
    """
    inputs = _read_inputs(config)
    load = _loader(inputs)
    # Download weights before any process or actor starts, so that they are in the machine's cache.
    detector = load(inputs.engine.own_device or "cpu")
    plan = partial(inputs.plan, detector.entry)
    with locked_job(SHARD_FILES, inputs.folder, config.share, plan) as job:
        videos = {video.id: video for video in inputs.data.videos}
        work = DetectWork(
            load=load, entry=detector.entry, videos=videos, folder=job.folder, kept=job.kept
        )
        result = run_units(job, work, inputs.engine, reporter, task="detect", steps="frames")
        missing = len(inputs.data.missing)
        summary = summarize_shards(job, result, missing=missing)
    if summary["empty_frames"] > summary["frames"] / 2:  # wrong weights, or a high threshold
        logger.warning(
            "%s: %s of %s without detections; check the detector, its weights and "
            "--score-threshold, and look at them with `orn inspect`",
            job.folder,
            f"{summary['empty_frames']:,}",
            counted(summary["frames"], "frame is", "frames are"),
        )
    return job_outcome(summary)


def describe_detection(config: DetectConfig, dataset: Dataset | None = None) -> dict[str, Any]:
    """Return the settings and the amount of work as a JSON object; nothing is written or
    downloaded.

    Args:
        config: what to do.
        dataset: the data set, if it is open already.
    """
    inputs = _read_inputs(config, dataset)
    data, model, checkpoint = inputs.data, inputs.model, inputs.checkpoint
    job = inputs.plan()
    frames = round(sum(unit.frames for unit in job.to_do))
    url = None
    if checkpoint is None and config.detector is None:
        checkpoint, url = weights_to_fetch(model)
    name = model if config.detector is not None else name_of(model)
    work, device = f"detect {name}", inputs.engine.device_type or "cpu"
    return job.describe(
        config=model,
        checkpoint=None if checkpoint is None else str(checkpoint),
        to_fetch=url,
        score_threshold=config.score_threshold,
        frames=job.plan.frames,
        rate=config.rate,
        unit_frames=config.unit_frames,
        videos=len({part.video_id for unit in job.units for part in unit.parts}),
        missing=len(data.missing),
        frames_to_do=frames,
        estimated_bytes=round(frames * BYTES["detect"]),
        estimated_seconds=estimated_seconds(work, frames, device=device),
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class _Inputs:
    """What a detect job starts from."""

    config: DetectConfig
    data: Dataset
    folder: Path
    """Output folder of the shards."""
    engine: Engine
    model: str
    """Name or file of the detector's config; name of a detector of the user."""
    checkpoint: Path | None
    """The detector's weights; None for those published for the config."""

    @property
    def settings(self) -> dict[str, Any]:
        """Settings of every detector, on which its results depend."""
        batch_size = self.config.batch_size or usual_batch_size(self.engine.device_type)
        return {"score_threshold": self.config.score_threshold, "batch_size": batch_size}

    def plan(self, entry: DetectorEntry | None = None) -> Job:
        """Return the planned job; nothing is written.

        Args:
            entry: the entry of the loaded detector, on which the shards depend, if it is loaded.
        """
        settings: dict[str, Any] = {"threads": _THREADS}
        if self.engine.device_type is not None:
            settings["device"] = self.engine.device_type
        if entry is not None:
            settings["detector"] = asdict(entry)
        job = plan_job(self.data, self.config, folder=self.folder, settings=settings)
        return job if self.config.share is None else self.config.share.of(job)


def _read_inputs(config: DetectConfig, data: Dataset | None = None) -> _Inputs:
    """Read the manifest, choose the folder, the engine and the detector, and compare them with the
    shards in the folder; no weights are downloaded and no video is opened."""
    if data is None:
        data = load_dataset(config.dataset, config.data_root, labels=False, needs_videos=True)
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
    folder = config.out or default_folder("shards", data.name)
    own = own_file(config.detector)[0] if isinstance(config.detector, str) else None
    given = (Path(path) for path in (config.config, config.checkpoint, own) if path)
    reads = chain(given, files_of(config.dataset, config.data_root))
    SHARD_FILES.check_folder(folder, reads=reads, fresh=config.fresh)
    engine = _engine(config)
    model, checkpoint = own_name(config.detector), None
    if config.detector is None:
        model, checkpoint = choose_files(
            data.detector, config=config.config, checkpoint=config.checkpoint
        )
    inputs = _Inputs(
        config=config,
        data=data,
        folder=folder,
        engine=engine,
        model=model,
        checkpoint=checkpoint,
    )
    if not config.fresh:
        _check_same_detector(inputs)
    return inputs


def _engine(config: DetectConfig) -> Engine:
    """Return the engine for the options.

    Raises:
        ConfigError: if the device does not exist.
    """
    if config.engine == "ray":
        from orn.shared.jobs.ray_engine import RayEngine

        address = os.environ.get("RAY_ADDRESS")
        return RayEngine(device=config.device, workers=config.workers, address=address)
    workers = 1 if config.is_callable else config.workers
    return LocalEngine(devices=devices_of_workers(config.device, workers))


def _loader(inputs: _Inputs) -> Callable[..., Detector]:
    """Return the function that loads the detector on a device; it can be pickled."""
    config = inputs.config
    settings = {**inputs.settings, "frame_rate": config.rate, "threads": _THREADS}
    if isinstance(config.detector, str):
        return partial(load_own_once, detector=config.detector, **settings)
    if config.detector is not None:
        return partial(load_own, detector=config.detector, **settings)
    return partial(
        _load,
        config=inputs.model,
        checkpoint=inputs.checkpoint,
        precision=config.precision,
        remedy=REMEDY,
        **settings,
    )


@lru_cache(maxsize=1)
def _load(device: str, **settings: Any) -> Detector:
    """Load a detector once in this process; for arguments, see `load_chosen`."""
    return load_chosen(device, **settings)


def _check_same_detector(inputs: _Inputs) -> None:
    """Compare a detector with the one of the shards in the folder, before weights are downloaded,
    code is executed or videos are opened. What is not known yet counts as equal.

    Raises:
        ConfigError: if they differ.
    """
    folder, config = inputs.folder, inputs.config
    saved = SHARD_FILES.saved_plan(folder)
    if saved is None or "detector" not in saved.settings:
        return
    if config.detector is not None:
        known = own_settings(config.detector, **inputs.settings)
    else:
        settings = {"precision": config.precision, **inputs.settings}
        known = known_settings(inputs.model, inputs.checkpoint, **settings)
    recorded = saved.settings["detector"]
    check_same_job(
        {"detector": recorded},
        {"detector": recorded | known},
        where=folder / PLAN_NAME,
        remedy=f"resume with the recorded settings, {start_over(len(saved.video_ids))}",
    )
