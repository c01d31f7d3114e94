"""The implementation of `orn detect`: describe a detect job, or run it."""

from __future__ import annotations

import filecmp
import logging
from collections.abc import Callable, Mapping
from dataclasses import asdict
from functools import partial
from pathlib import Path
from types import MappingProxyType
from typing import TYPE_CHECKING, Any

from orn.shared.config.bounded import file_digest
from orn.shared.data_files import not_a_file
from orn.shared.devices import estimated_seconds, usual_batch_size
from orn.shared.errors import DetectorError
from orn.shared.jobs.engines import choose_engine
from orn.shared.jobs.plan import PLAN_NAME
from orn.shared.jobs.same_job import check_same_job
from orn.shared.jobs.work import Engine
from orn.shared.manifests.load import load_dataset, require_videos, shipped_detectors
from orn.shared.manifests.records import Dataset, DetectorChoice
from orn.shared.shards.shard_format import SHARD_FILES
from orn.stage1_detect.detect_job import DetectSummary, run_job
from orn.stage1_detect.detect_request import DetectRequest
from orn.stage1_detect.planning import (
    DETECT,
    DetectJob,
    plan_job,
    warn_of_missing,
    warn_of_replaced,
)

if TYPE_CHECKING:
    from orn.stage1_detect.detect_unit import Detector


logger = logging.getLogger(__name__)

DEFAULT_CONFIG = "mask-rcnn_r50_fpn_ms-poly-3x_coco"
"""MMDetection's Mask R-CNN with a ResNet-50 FPN backbone, trained for 36 epochs."""
_REMEDY = "pass it with --checkpoint FILE (with make: CHECKPOINT=FILE)"
_FRAME_BYTES = 700
"""Bytes per frame in shards of the demo world (six objects per frame)."""


def choose_files(
    own: DetectorChoice,
    *,
    config: str | None,
    checkpoint: Path | None,
    shipped: Mapping[str, DetectorChoice] | None = None,
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
        shipped: detectors by name; None for the bundled detectors.
    """
    shipped = shipped_detectors() if shipped is None else shipped
    if config is not None and config in shipped:
        own, config = shipped[config], None
    if config is None and own.config is not None:
        config, checkpoint = own.config, checkpoint or own.checkpoint
    elif config is None:
        same = (
            str(each.config) for each in shipped.values() if _same_file(checkpoint, each.checkpoint)
        )
        config = next(same, DEFAULT_CONFIG)
    return config, checkpoint


def _same_file(path: Path | None, other: Path | None) -> bool:
    """Return whether both files exist and have the same content."""
    if path is None or other is None or not_a_file(path) or not_a_file(other):
        return False
    return filecmp.cmp(path, other, shallow=False)


def describe_detection(request: DetectRequest) -> dict[str, Any]:
    """Return the settings and the amount of work as a JSON object; nothing is written, downloaded
    or started."""
    from orn.stage1_detect.mmdet.zoo import find_config, weights_to_fetch

    data = _load(request)
    folder = _folder(request, data)
    engine = choose_engine(request.engine, device=request.device, error=DetectorError)
    _check_same_detector(request, data, folder, engine)
    job = _plan(request, data, folder, _settings(request, engine))
    warn_of_replaced(job)
    unreadable = {name: each.problem for name, each in job.estimates.items() if each.problem}
    for video_id, problem in unreadable.items():
        logger.warning("video %s will fail: %s", video_id, problem)
    frames = round(sum(unit.frames for unit in job.to_do))
    config, checkpoint = _files(request, data)
    url = None
    if checkpoint is None:
        checkpoint, url = weights_to_fetch(find_config(config), remedy=_REMEDY)
    return {
        "dataset": data.name,
        "out": str(job.folder),
        "config": config,
        "checkpoint": None if checkpoint is None else str(checkpoint),
        "to_fetch": url,
        "score_threshold": request.score_threshold,
        "frames": job.plan.frames,
        "rate": request.scope.rate,
        "unit_frames": request.scope.unit_frames,
        "videos": len({part.video_id for unit in job.units for part in unit.parts}),
        "missing": len(data.missing),
        "unlabeled": job.unlabeled,
        "units": len(job.units),
        "existing_shards": len(job.units) - len(job.to_do),
        "frames_to_do": frames,
        "unreadable": list(unreadable),
        "estimated_bytes": frames * _FRAME_BYTES,
        "estimated_seconds": estimated_seconds(
            f"detect {find_config(config).stem}", frames, device=engine.device_type or "cpu"
        ),
    }


def run_detection(request: DetectRequest) -> DetectSummary:
    """Detect objects in the videos of a data set and write the missing shards."""
    data = _load(request)
    folder = _folder(request, data)
    engine = choose_engine(request.engine, device=request.device, error=DetectorError)
    _check_same_detector(request, data, folder, engine)
    load = _loader(request, data, engine)
    # Download weights before any process or actor starts, so that they are in the machine's cache.
    detector = load(engine.here or "cpu", detects=engine.here is not None)
    settings = _settings(request, engine) | {"detector": asdict(detector.entry)}
    with DETECT.locked(folder):
        return run_job(
            _plan(request, data, folder, settings),
            load=load if engine.here is None else _LoadedHere(load, engine.here, detector),
            entry=detector.entry,
            batch=detector.entry.batch_size,
            engine=engine,
            fresh=request.fresh,
        )


def _settings(request: DetectRequest, engine: Engine) -> dict[str, Any]:
    """Return the settings of the plan, except the detector."""
    settings: dict[str, Any] = {"threads": request.threads}
    if engine.device_type is not None:
        settings["device"] = engine.device_type
    return settings


def _check_same_detector(
    request: DetectRequest, data: Dataset, folder: Path, engine: Engine
) -> None:
    """Compare the requested detector with the one of the shards in the folder, before weights are
    downloaded or videos opened. Weights that are not on this machine count as equal.

    Raises:
        ConfigError: if they differ.
    """
    saved = None if request.fresh else SHARD_FILES.saved_plan(folder)
    if saved is None or "detector" not in saved.settings:
        return
    from orn.stage1_detect.mmdet.config import read_config
    from orn.stage1_detect.mmdet.detector import known_settings
    from orn.stage1_detect.mmdet.zoo import weights_to_fetch

    config, checkpoint = _files(request, data)
    detector = read_config(config)
    if checkpoint is None:
        checkpoint, _ = weights_to_fetch(detector.path, remedy=_REMEDY)
    recorded = saved.settings["detector"]
    requested = recorded | known_settings(
        detector,
        score_threshold=request.score_threshold,
        precision=request.precision,
        batch_size=request.batch_size or usual_batch_size(engine.device_type),
    )
    if checkpoint is not None:
        requested["checkpoint_digest"] = file_digest(checkpoint, error=DetectorError)
    check_same_job({"detector": recorded}, {"detector": requested}, place=folder / PLAN_NAME)


def _plan(
    request: DetectRequest,
    data: Dataset,
    folder: Path,
    settings: Mapping[str, Any] = MappingProxyType({}),
) -> DetectJob:
    return plan_job(
        data,
        folder=folder,
        data_root=request.data_root,
        scope=request.scope,
        settings=settings,
        fresh=request.fresh,
        retry_failed=request.retry_failed,
    )


def _loader(request: DetectRequest, data: Dataset, engine: Engine) -> Callable[..., Detector]:
    from orn.stage1_detect.mmdet.detector import load_detector

    config, checkpoint = _files(request, data)
    return partial(
        load_detector,
        config=config,
        checkpoint=checkpoint,
        score_threshold=request.score_threshold,
        precision=request.precision,
        batch_size=request.batch_size or usual_batch_size(engine.device_type),
        frame_rate=request.scope.rate,
        threads=request.threads,
        remedy=_REMEDY,
    )


def _load(request: DetectRequest) -> Dataset:
    data = load_dataset(request.dataset, request.data_root, labels=False)
    require_videos(data, request.dataset, request.data_root)
    warn_of_missing(data)
    return data


def _files(request: DetectRequest, data: Dataset) -> tuple[str, Path | None]:
    return choose_files(data.detector, config=request.config, checkpoint=request.checkpoint)


def _folder(request: DetectRequest, data: Dataset) -> Path:
    folder = request.out or Path("shards") / data.name
    SHARD_FILES.check_folder(folder)
    return folder


class _LoadedHere:
    """Loads the detector in each process; it is already loaded in this process."""

    def __init__(self, load: Callable[[str], Detector], device: str, detector: Detector) -> None:
        self._load = load
        self._device = device
        self._detector = detector

    def __call__(self, device: str) -> Detector:
        return self._detector if device == self._device else self._load(device)

    def __reduce__(self) -> tuple[Any, ...]:
        """Pickle the loader only: other processes load the detector themselves."""
        return partial, (self._load,)
