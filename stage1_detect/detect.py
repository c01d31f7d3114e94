"""The implementation of `orn detect`: describe a detect job, or run it."""

from __future__ import annotations

import filecmp
import logging
from collections.abc import Callable, Iterator, Mapping
from dataclasses import asdict, dataclass
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from orn.data_manifests.load import files_of, load_dataset, shipped_detectors
from orn.data_manifests.records import Dataset, DetectorChoice
from orn.shared.data_files import file_digest, not_a_file
from orn.shared.devices import usual_batch_size
from orn.shared.errors import DetectorError
from orn.shared.estimates import BYTES, estimated_seconds
from orn.shared.jobs.engines import choose_engine
from orn.shared.jobs.outputs import default_folder
from orn.shared.jobs.plan import PLAN_NAME
from orn.shared.jobs.same_job import check_same_job, start_over
from orn.shared.jobs.work import Engine
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

    @property
    def settings(self) -> dict[str, Any]:
        """Settings of the plan, except the detector."""
        settings: dict[str, Any] = {"threads": self.request.threads}
        if self.engine.device_type is not None:
            settings["device"] = self.engine.device_type
        return settings

    def plan(self, settings: Mapping[str, Any]) -> DetectJob:
        """Return the planned job; nothing is written."""
        request = self.request
        return plan_job(
            self.data,
            folder=self.folder,
            data_root=request.data_root,
            scope=request.scope,
            settings=settings,
            fresh=request.fresh,
            retry_failed=request.retry_failed,
        )


def _read_inputs(request: DetectRequest, data: Dataset | None = None) -> _Inputs:
    """Read the manifest, choose the folder, the engine and the detector, and compare them with the
    shards in the folder; no weights are downloaded and no video is opened."""
    if data is None:
        data = load_dataset(request.dataset, request.data_root, labels=False, needs_videos=True)
    warn_of_missing(data)
    folder = request.out or default_folder("shards", data.name)
    SHARD_FILES.check_folder(folder, reads=_reads(request), fresh=request.fresh)
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
        _check_same_detector(inputs)
    return inputs


def _reads(request: DetectRequest) -> Iterator[Path]:
    """Yield the files that a detect job reads."""
    files = (request.config and Path(request.config), request.checkpoint)
    yield from filter(None, files)
    yield from files_of(request.dataset, request.data_root)


def describe_detection(request: DetectRequest, dataset: Dataset | None = None) -> dict[str, Any]:
    """Return the settings and the amount of work as a JSON object; nothing is written, downloaded
    or started.

    Args:
        request: the options.
        dataset: the data set, if it is open already.
    """
    from orn.stage1_detect.mmdet.zoo import find_config, weights_to_fetch

    inputs = _read_inputs(request, dataset)
    data, config, checkpoint = inputs.data, inputs.config, inputs.checkpoint
    job = inputs.plan(inputs.settings)
    warn_of_replaced(job)
    unreadable = {name: each.problem for name, each in job.estimates.items() if each.problem}
    for video_id, problem in unreadable.items():
        logger.warning("video %s will fail: %s", video_id, problem)
    frames = round(sum(unit.frames for unit in job.to_do))
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
        "estimated_bytes": round(frames * BYTES["detect"]),
        "estimated_seconds": estimated_seconds(
            f"detect {find_config(config).stem}", frames, device=inputs.engine.device_type or "cpu"
        ),
    }


def run_detection(request: DetectRequest) -> DetectSummary:
    """Detect objects in the videos of a data set and write the missing shards."""
    inputs = _read_inputs(request)
    load, here = _loader(inputs), inputs.engine.here
    # Download weights before any process or actor starts, so that they are in the machine's cache.
    detector = load(here or "cpu", detects=here is not None)
    settings = inputs.settings | {"detector": asdict(detector.entry)}
    with DETECT.locked(inputs.folder):
        return run_job(
            inputs.plan(settings),
            load=load if here is None else _LoadedHere(load, here, detector),
            entry=detector.entry,
            batch=detector.entry.batch_size,
            engine=inputs.engine,
            fresh=request.fresh,
        )


def _check_same_detector(inputs: _Inputs) -> None:
    """Compare the requested detector with the one of the shards in the folder, before weights are
    downloaded or videos opened. Weights that are not on this machine count as equal.

    Raises:
        ConfigError: if they differ.
    """
    saved = SHARD_FILES.saved_plan(inputs.folder)
    if saved is None or "detector" not in saved.settings:
        return
    from orn.stage1_detect.mmdet.detector import known_settings
    from orn.stage1_detect.mmdet.model import read_config
    from orn.stage1_detect.mmdet.zoo import weights_to_fetch

    detector, checkpoint = read_config(inputs.config), inputs.checkpoint
    if checkpoint is None:
        checkpoint, _ = weights_to_fetch(detector.path, remedy=_REMEDY)
    recorded = saved.settings["detector"]
    requested = recorded | known_settings(
        detector,
        score_threshold=inputs.request.score_threshold,
        precision=inputs.request.precision,
        batch_size=inputs.batch_size,
    )
    if checkpoint is not None:
        requested["checkpoint_digest"] = file_digest(checkpoint, error=DetectorError)
    check_same_job(
        {"detector": recorded},
        {"detector": requested},
        place=inputs.folder / PLAN_NAME,
        remedy=f"resume with the recorded settings, {start_over(len(saved.video_ids))}",
    )


def _loader(inputs: _Inputs) -> Callable[..., Detector]:
    from orn.stage1_detect.mmdet.detector import load_detector

    request = inputs.request
    return partial(
        load_detector,
        config=inputs.config,
        checkpoint=inputs.checkpoint,
        score_threshold=request.score_threshold,
        precision=request.precision,
        batch_size=inputs.batch_size,
        frame_rate=request.scope.rate,
        threads=request.threads,
        remedy=_REMEDY,
    )


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
