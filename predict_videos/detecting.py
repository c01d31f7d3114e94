"""Load the detector used to train a network, and return the detections for each video."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING

from orn.predict_videos.predict_request import PredictRequest
from orn.shared.errors import DetectorError, ShardNotFoundError, VideoDecodeError
from orn.shared.jobs.plan import plan_units
from orn.shared.jobs.termination import terminated_as_interrupted
from orn.shared.manifests.records import DetectorChoice, Video
from orn.shared.shards.detection_folder import DetectionFolder
from orn.shared.text import path_text
from orn.shared.video.read import content_digest, estimate
from orn.stage2_train.runs.find_run import DETECTOR_NAME
from orn.stage2_train.runs.run_config import check_detector_classes
from orn.stage2_train.runs.trained import OpenedModel

if TYPE_CHECKING:
    from orn.stage1_detect.detect_unit import Detector


logger = logging.getLogger(__name__)

_USUAL_THRESHOLD = 0.3
"""Default of `orn detect`."""
_KEPT_BYTES = 16 * 2**20
"""Cache of decoded detections; windows are read in order, so a larger cache would not help."""


Objects = Callable[
    [Video, Callable[[int], None]], AbstractContextManager[tuple[Video, DetectionFolder]]
]
"""Context manager for a video's detections. Returns the video with its id in the detections; calls
the function with the number of processed frames. Raises `PipelineError` if the video fails."""


def detected_by(detector: Detector) -> Objects:
    """Return the detections by a detector, in a temporary folder per video."""

    from orn.stage1_detect.detect_unit import UnitDetector  # importing zarr takes half a second

    @contextmanager
    def objects(
        video: Video, advance: Callable[[int], None]
    ) -> Iterator[tuple[Video, DetectionFolder]]:
        length = estimate(video.path, rate=video.rate)
        frames = length.at_rate(detector.entry.frame_rate).frames
        with TemporaryDirectory(prefix="orn-predict-", ignore_cleanup_errors=True) as folder:
            detect = UnitDetector(
                detector,
                videos={video.id: video},
                folder=Path(folder),
                batch=detector.entry.batch_size,
            )
            for unit in plan_units([(video.id, frames)]):
                with terminated_as_interrupted():
                    result = detect(unit, advance)
                for failed in result.failed:
                    raise VideoDecodeError(f"{video.path}: {failed.reason}")
            yield video, DetectionFolder(Path(folder), cache_bytes=_KEPT_BYTES)

    return objects


def objects_in(folder: Path, model: OpenedModel, *, any_detector: bool) -> Objects:
    """Return the detections in shards; a video is identified by its content, not by its name.

    Raises:
        ShardNotFoundError: if the folder has no shards.
        DetectorError: if the shards were made by a detector other than the network's.
    """
    shards = DetectionFolder(folder)
    if not any_detector and shards.detector.title != model.detector:
        raise _other(model, shards.detector.title, f"the shards {folder}")
    ids = {shards.entry(each).source_digest: each for each in reversed(shards.video_ids)}

    @contextmanager
    def objects(
        video: Video, advance: Callable[[int], None]
    ) -> Iterator[tuple[Video, DetectionFolder]]:
        digest = content_digest(video.path)
        if digest not in ids:
            raise ShardNotFoundError(
                f"{video.path}: no detections of a video with this content in {shards.path}; use "
                "shards of this file, or run the detector"
            )
        found = Video(id=ids[digest], path=video.path, rate=video.rate)
        yield found, shards

    return objects


def load_its_detector(model: OpenedModel, request: PredictRequest) -> Detector:
    """Load the detector used to train a network, or the one chosen by the user.

    The weights are the user's or those in the model folder, else the bundled or published weights.

    Raises:
        DetectorError: if the weights are not found, or are not the ones used for training.
    """
    from orn.stage1_detect.detect import choose_files
    from orn.stage1_detect.mmdet.detector import load_detector

    recorded, own = model.config.detector, model.path / DETECTOR_NAME
    given = request.checkpoint or (own if own.exists() else None)
    name = request.config or recorded.config_name
    # Imported objects have no detector; a file is untrusted, because it is executed.
    if request.config is None and (" " in name or Path(name).suffix == ".py"):
        raise DetectorError(
            f"{model.path}: expected a detector from the model zoo, got {model.detector}; pass "
            "--shards FOLDER, or --config NAME|FILE, --checkpoint FILE and --any-detector"
        )
    config, checkpoint = choose_files(DetectorChoice(), config=name, checkpoint=given)
    detector = load_detector(
        request.device,
        config=config,
        checkpoint=checkpoint,
        score_threshold=recorded.thresholds.get("score", _USUAL_THRESHOLD),
        frame_rate=recorded.frame_rate,
        threads=request.threads,
        remedy="pass it with --checkpoint FILE",
    )
    check_detector_classes(model.path, model.config, detector.entry.class_names, where=config)
    if detector.entry.title != model.detector:
        if not request.any_detector:
            raise _other(model, detector.entry.title, config)
        logger.warning(
            "%s: trained with detector %s, but %s is used; predictions may be worse",
            *(model.path, model.detector, detector.entry.title),
        )
    return detector


def _other(model: OpenedModel, found: str, where: str) -> DetectorError:
    return DetectorError(
        f"{path_text(where)}: expected the detector that {model.path} was trained with, "
        f"{model.detector}, got {found}; pass that detector's weights or shards, or use "
        "--any-detector"
    )
