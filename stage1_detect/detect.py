"""The implementation of `orn detect`: plan the job, load the detector, run the missing units, and
summarize their shards."""

import filecmp
import logging
from collections.abc import Callable
from dataclasses import asdict, dataclass
from functools import lru_cache, partial
from itertools import chain
from pathlib import Path
from typing import Any

from orn.data_manifests.load import (
    data_root_of,
    files_of,
    load_dataset,
    load_manifest,
    shipped_detectors,
)
from orn.data_manifests.records import Dataset, DetectorChoice
from orn.shared.data_files import file_digest, not_a_file
from orn.shared.devices import devices_of_workers, usual_batch_size
from orn.shared.errors import ConfigError, DetectorError
from orn.shared.estimates import BYTES, estimated_seconds
from orn.shared.jobs.outputs import check_same_job, default_folder, start_over
from orn.shared.jobs.parts import locked_job
from orn.shared.jobs.plan import PLAN_NAME
from orn.shared.jobs.run_units import Engine, Job, LocalEngine, run_units
from orn.shared.shards.shard_format import SHARD_FILES, DetectorEntry
from orn.shared.text import counted, first_few
from orn.stage1_detect.detect_request import DetectRequest
from orn.stage1_detect.detect_unit import Detector, DetectWork
from orn.stage1_detect.plan_detection import plan_job
from orn.stage1_detect.shard_job import summarize_shards

logger = logging.getLogger(__name__)

DEFAULT_CONFIG = "mask-rcnn_r50_fpn_ms-poly-3x_coco"
"""MMDetection's Mask R-CNN with a ResNet-50 FPN backbone, trained for 36 epochs."""
_THREADS = 1
"""Number of CPU threads of each process, which affects rounding."""
_REMEDY = "pass it with --checkpoint FILE (with make: CHECKPOINT=FILE)"


def run_detection(request: DetectRequest) -> dict[str, Any]:
    """Detect objects in the videos of a data set, write the missing shards, and return the summary:
    the fields of `summarize_shards`, and the number of `missing` videos."""
    inputs = _read_inputs(request)
    load = _loader(inputs)
    # Download weights before any process or actor starts, so that they are in the machine's cache.
    detector = load(inputs.engine.own_device or "cpu")
    plan = partial(inputs.plan, detector.entry)
    with locked_job(SHARD_FILES, inputs.folder, request.part, plan) as job:
        videos = {video.id: video for video in inputs.data.videos}
        work = DetectWork(
            load=load, entry=detector.entry, videos=videos, folder=job.folder, kept=job.kept
        )
        result = run_units(job, work, inputs.engine, task="detect", steps="frames")
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
    return summary


def describe_detection(request: DetectRequest, dataset: Dataset | None = None) -> dict[str, Any]:
    """Return the settings and the amount of work as a JSON object; nothing is written or
    downloaded.

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
        checkpoint, url = weights_to_fetch(find_config(config), remedy=_REMEDY)
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
        frames_to_do=frames,
        estimated_bytes=round(frames * BYTES["detect"]),
        estimated_seconds=estimated_seconds(work, frames, device=device),
    )


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
        settings: dict[str, Any] = {"threads": _THREADS}
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
    engine = _engine(request)
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


def _engine(request: DetectRequest) -> Engine:
    """Return the engine for the options.

    Raises:
        ConfigError: if the options contradict each other.
        DetectorError: if the device does not exist.
    """
    device = request.device
    if request.engine == "ray":
        from orn.shared.jobs.ray_engine import RayEngine

        if device not in ("auto", "cpu", "cuda"):
            raise ConfigError(
                f"--engine ray: expected --device auto, cpu or cuda, got {device!r}; omit the "
                "number, since Ray assigns GPUs to actors"
            )
        return RayEngine(device=device, workers=request.workers, address=request.address)
    if request.address is not None:
        raise ConfigError(f"--address {request.address} requires --engine ray; add it")
    devices = devices_of_workers(device, request.workers, error=DetectorError)
    return LocalEngine(devices=devices)


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
        threads=_THREADS,
        remedy=_REMEDY,
    )


@lru_cache(maxsize=1)
def _load(device: str, **settings: Any) -> Detector:
    """Load a detector once in this process; for arguments, see `load_detector`."""
    from orn.stage1_detect.mmdet.detector import load_detector

    return load_detector(device, **settings)


def choose_files(
    own: DetectorChoice,
    *,
    config: str | None,
    checkpoint: Path | None,
) -> tuple[str, Path | None]:
    """Return the detector's config and weights: the user's choice, else the manifest's, else the
    default.

    The weights are None if neither the user nor the manifest specifies a file. The manifest's
    weights are used only with its own config. A bundled detector is recognized by its name or by
    its weights, for any data set.

    Args:
        own: the manifest's choice.
        config: the user's config.
        checkpoint: the user's weights.
    """
    shipped = shipped_detectors()
    if config is not None and config in shipped:
        own, config = shipped[config], None
    if config is None and own.config is not None:
        config, checkpoint = own.config, checkpoint or own.checkpoint
    elif config is None:
        same = (
            str(one.config) for one in shipped.values() if _same_file(checkpoint, one.checkpoint)
        )
        config = next(same, DEFAULT_CONFIG)
    return config, checkpoint


def _same_file(path: Path | None, other: Path | None) -> bool:
    """Return whether both files exist and have the same content."""
    if path is None or other is None or not_a_file(path) or not_a_file(other):
        return False
    return filecmp.cmp(path, other, shallow=False)


def check_same_detector(
    folder: Path, config: str, checkpoint: Path | None, request: DetectRequest, batch_size: int
) -> None:
    """Compare a detector with the one of the shards in a folder, before weights are downloaded or
    videos opened. Weights that are not on this machine count as equal.

    Raises:
        ConfigError: if they differ.
    """
    saved = SHARD_FILES.saved_plan(folder)
    if saved is None or "detector" not in saved.settings:
        return
    from orn.stage1_detect.mmdet.detector import known_settings
    from orn.stage1_detect.mmdet.model import read_config
    from orn.stage1_detect.mmdet.zoo import weights_to_fetch

    detector_config = read_config(config)
    if checkpoint is None:
        checkpoint, _ = weights_to_fetch(detector_config.path, remedy=_REMEDY)
    recorded = saved.settings["detector"]
    requested = recorded | known_settings(
        detector_config,
        score_threshold=request.score_threshold,
        precision=request.precision,
        batch_size=batch_size,
    )
    if checkpoint is not None:
        requested["checkpoint_digest"] = file_digest(checkpoint, error=DetectorError)
    check_same_job(
        {"detector": recorded},
        {"detector": requested},
        where=folder / PLAN_NAME,
        remedy=f"resume with the recorded settings, {start_over(len(saved.video_ids))}",
    )
