"""The detector that a network was trained with, and its objects in one video after another."""

from __future__ import annotations

import logging
import re
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager, suppress
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING

from orn.predict_videos.request import PredictRequest
from orn.shared.config.bounded import file_digest
from orn.shared.data_files import not_a_file
from orn.shared.download import sha256_digits
from orn.shared.errors import DetectorError, ShardNotFoundError, VideoDecodeError
from orn.shared.jobs.plan import plan_units
from orn.shared.jobs.termination import terminated_as_interrupted
from orn.shared.manifests.load import shipped_detectors
from orn.shared.manifests.records import DetectorChoice, Video
from orn.shared.manifests.source import source_of
from orn.shared.shards.reader import DetectionFolder
from orn.shared.text import path_text
from orn.shared.video.read import content_digest, estimate
from orn.stage2_train.runs.hub import DETECTOR_NAME
from orn.stage2_train.runs.run_config import check_detector_classes
from orn.stage2_train.runs.trained import OpenedModel

if TYPE_CHECKING:
    from orn.stage1_detect.pipeline import Detector


logger = logging.getLogger(__name__)

_ZOO_NAME = re.compile(r"[\w.-]+")
_USUAL_THRESHOLD = 0.3
"""Of `orn detect`."""
_KEPT_BYTES = 16 * 2**20
"""Of unpacked detections: windows go onwards, so that more would only hold what is done with."""


Objects = Callable[
    [Video, Callable[[int], None]], AbstractContextManager[tuple[Video, DetectionFolder]]
]
"""Gives the detections of a video while the block runs, and the video by its id in them; the
function that comes with it is told how many frames were looked at. A `PipelineError` says why there
are none."""


def detected_by(detector: Detector, *, batch: int = 8) -> Objects:
    """Objects that are detected when they are asked for, in a folder that is removed afterwards.

    Args:
        detector: what finds them.
        batch: most frames that it sees at once, as `orn detect` has it.
    """

    from orn.stage1_detect.pipeline import UnitDetector  # zarr loads for half a second

    @contextmanager
    def objects(
        video: Video, advance: Callable[[int], None]
    ) -> Iterator[tuple[Video, DetectionFolder]]:
        length = estimate(source_of(video), rate=video.rate)
        frames = length.at_rate(detector.entry.frame_rate).frames
        with TemporaryDirectory(prefix="orn-predict-", ignore_cleanup_errors=True) as folder:
            detect = UnitDetector(
                detector, videos={video.id: video}, folder=Path(folder), batch=batch
            )
            for unit in plan_units([(video.id, frames)]):
                with terminated_as_interrupted():
                    result = detect(unit, advance)
                for failed in result.failed:
                    raise VideoDecodeError(f"{video.path}: {failed.reason}")
            yield video, DetectionFolder(Path(folder), cache_bytes=_KEPT_BYTES)

    return objects


def objects_in(folder: Path, model: OpenedModel, *, any_detector: bool) -> Objects:
    """Objects of the shards of a folder; a video is found by its content, whatever it is called.

    Raises:
        ShardNotFoundError: if there are none.
        DetectorError: if they are of another detector than the network's.
    """
    shards = DetectionFolder(folder)
    names = shards.detector.class_names
    check_detector_classes(model.path, model.config, names, where=folder)
    if not any_detector and shards.detector.title != model.detector:
        raise _other(model, shards.detector.title, f"the shards {folder}")
    ids = {shards.entry(each).source_digest: each for each in reversed(shards.video_ids)}

    @contextmanager
    def objects(
        video: Video, advance: Callable[[int], None]
    ) -> Iterator[tuple[Video, DetectionFolder]]:
        digest = content_digest(source_of(video))
        if digest not in ids:
            raise ShardNotFoundError(
                f"{video.path}: no shard in {shards.path} has detections of this content; "
                "leave --shards out to have it detected"
            )
        found = Video(id=ids[digest], path=video.path, rate=video.rate, inside=video.inside)
        yield found, shards

    return objects


def load_its_detector(model: OpenedModel, request: PredictRequest) -> Detector:
    """The detector that a network was trained with, or the one that the user chose.

    Its weights are those of the model folder, of the project or of the model zoo, where these have
    the digest that the network recorded, or the file that is given.

    Raises:
        DetectorError: if nobody knows where its weights are, or they are others than the network's.
    """
    from orn.stage1_detect.mmdet.detector import load_detector

    config, checkpoint = _files(model, request)
    detector = load_detector(
        request.device,
        config=config,
        checkpoint=checkpoint,
        score_threshold=model.config.detector.thresholds.get("score", _USUAL_THRESHOLD),
        frame_rate=model.config.detector.frame_rate,
        threads=request.threads,
    )
    names = detector.entry.class_names
    check_detector_classes(model.path, model.config, names, where=config)
    if detector.entry.title != model.detector:
        if not request.any_detector:
            raise _other(model, detector.entry.title, "this one")
        logger.warning(
            "%s was trained on objects of %s, which are now those of %s: predictions may be worse",
            *(model.path, model.detector, detector.entry.title),
        )
    return detector


def _files(model: OpenedModel, request: PredictRequest) -> tuple[str, Path]:
    """Configuration and weights."""
    name, _, digest = model.detector.rpartition(" ")
    by_name = shipped_detectors()
    shipped = {_digest(each.checkpoint): each for each in by_name.values() if each.checkpoint}
    asked = by_name.get(request.config or "", DetectorChoice(config=request.config))
    checkpoint = request.checkpoint or asked.checkpoint
    if checkpoint is None and (model.path / DETECTOR_NAME).exists():
        checkpoint = model.path / DETECTOR_NAME
    own = shipped.get(digest if checkpoint is None else _digest(checkpoint))
    if checkpoint is None and own is not None:
        checkpoint = own.checkpoint
    if checkpoint is None:
        checkpoint = _published(model, request, asked.config or name)
    if problem := not_a_file(checkpoint):
        raise DetectorError(
            f"{path_text(checkpoint)}: expected the weights of {model.detector}, got {problem}; "
            "give the file with --checkpoint, or a folder with its detections with --shards"
        )
    if not request.any_detector and _digest(checkpoint) != digest:
        raise _other(model, f"weights {_digest(checkpoint)}", str(checkpoint))
    if asked.config is not None:
        return asked.config, checkpoint
    if own is not None and own.config is not None:
        return own.config, checkpoint
    if not _is_zoo_name(name):
        raise DetectorError(
            f"{model.path}: wanted a detector's configuration by its name in the model zoo, found "
            f"{path_text(name)}; say --config"
        )
    return name, checkpoint


def _published(model: OpenedModel, request: PredictRequest, config: str) -> Path:
    """The weights that the zoo publishes for a configuration, fetched if they can be the network's
    or any will do."""
    from orn.stage1_detect.mmdet.zoo import fetch_weights, find_config, weights_url

    path = None
    if request.config is not None:
        path = find_config(config)
    elif _is_zoo_name(config):
        with suppress(DetectorError):
            path = find_config(config)
    url = path and weights_url(path)
    digits = url and sha256_digits(url)
    recorded = model.detector.rpartition(" ")[2]
    if path and digits and (request.any_detector or recorded.startswith(f"sha256:{digits}")):
        return fetch_weights(path, remedy="name it with --checkpoint FILE")
    raise DetectorError(
        f"{model.path}: was trained on objects of {model.detector}, whose weights are not part "
        "of this installation; say --checkpoint FILE, or --shards FOLDER with its detections"
    )


def _is_zoo_name(name: str) -> bool:
    """Whether a name that a stranger chose may be looked up: their file of Python is not run."""
    return _ZOO_NAME.fullmatch(name) is not None and not name.endswith(".py")


def _digest(path: Path | None) -> str:
    """`sha256:...` of a file; nothing for one that is not there, which its reader will say."""
    if path is None or not_a_file(path) is not None:
        return ""
    return file_digest(path, error=DetectorError)


def _other(model: OpenedModel, found: str, where: str) -> DetectorError:
    return DetectorError(
        f"{path_text(where)}: expected the detector that {model.path} was trained with, "
        f"{model.detector}, got {found}; give that detector's weights or shards, or "
        "--any-detector to use these"
    )
