"""Load the detector used to train a network, and return the detections for each video."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Any

from orn.data_manifests.records import DetectorChoice, Video
from orn.data_manifests.text_files import read_class_names
from orn.prediction.predict_config import PredictConfig
from orn.shared.devices import choose_device, usual_batch_size
from orn.shared.errors import ConfigError, DetectorError, ShardNotFoundError, VideoDecodeError
from orn.shared.jobs.pack_videos import plan_units
from orn.shared.jobs.plan import Unit, UnitPart
from orn.shared.jobs.workers import terminated_as_interrupted
from orn.shared.shards.detection_folder import DetectionFolder
from orn.shared.shards.shard_format import DetectorEntry
from orn.shared.text import first_few, nearest_first, path_text
from orn.shared.video.read import content_digest, estimate
from orn.stage2_train.runs.run_config import check_detector_classes

if TYPE_CHECKING:
    from orn.stage1_detect.detect_unit import Detector
    from orn.stage2_train.runs.trained import OpenedModel


logger = logging.getLogger(__name__)

_USUAL_THRESHOLD = 0.3
"""Default of `orn detect`."""
_NAMED = 3
"""Maximum number of ids in a message."""
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
            )
            for unit in plan_units([(video.id, frames)]):
                with terminated_as_interrupted():
                    result = detect(unit, advance)
                for failed in result.failed:
                    raise VideoDecodeError(failed.reason, where=video.path)
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
    ids = {shards.entry(own).source_digest: own for own in reversed(shards.video_ids)}

    @contextmanager
    def objects(
        video: Video, advance: Callable[[int], None]
    ) -> Iterator[tuple[Video, DetectionFolder]]:
        digest = content_digest(video.path)
        if digest not in ids:
            raise ShardNotFoundError(
                f"no detections of a video with this content in {shards.path}; use "
                "shards of this file, or run the detector",
                where=video.path,
            )
        listed = Video(id=ids[digest], path=video.path, rate=video.rate)
        yield listed, shards

    return objects


@contextmanager
def imported_from(
    model: OpenedModel, config: PredictConfig, videos: Sequence[Video]
) -> Iterator[Objects]:
    """Yield the objects in a file or folder of `orn import-objects`; a video is identified by the
    end of its path, and classes that the network does not know are dropped.

    Raises:
        DetectorError: if the network was trained on the objects of a detector.
        ObjectImportError: if the source is not in the given format, or several of the videos would
            have the same objects.
    """
    from orn.stage1_detect.imports.import_config import ImportConfig
    from orn.stage1_detect.imports.import_unit import ImportWork
    from orn.stage1_detect.imports.source_videos import find_source_videos, match_files

    assert config.objects is not None and config.form is not None
    recorded, where = model.config.detector, path_text(config.objects)
    if not (recorded.is_imported or config.any_detector):
        raise _other(model, "imported objects", where)
    asked = ImportConfig(
        dataset="",
        source=config.objects,
        form=config.form,
        rate=recorded.frame_rate,
        options=config.options,
    )
    entry = DetectorEntry.imported(
        config.form, frame_rate=recorded.frame_rate, class_names=recorded.class_names
    )
    classes = None if config.options.classes is None else read_class_names(config.options.classes)
    if unknown := {*(classes or ())} - {*recorded.class_names}:
        raise ConfigError(
            where=f"--classes {path_text(config.options.classes)}",
            expected=f"classes of the network, such as {first_few(recorded.class_names, _NAMED)}",
            got=first_few(sorted(unknown), _NAMED),
            remedy="remove the others from the file, or omit it",
        )
    with TemporaryDirectory(prefix="orn-predict-", ignore_cleanup_errors=True) as folder:
        table = Path(folder) / "objects.sqlite"
        found = find_source_videos(asked, table)[0]
        matched = match_files(found, [video.path for video in videos])

        @contextmanager
        def objects(
            video: Video, advance: Callable[[int], None]
        ) -> Iterator[tuple[Video, DetectionFolder]]:
            own = matched.get(video.path)
            if own is None:
                ids = [one.id for one in found]
                raise ShardNotFoundError(
                    f"expected objects of {video.path.stem!r} in {where}, got those "
                    f"of {first_few(nearest_first(video.path.stem, ids), _NAMED)}; move the file "
                    "so that its path ends like the id of its objects, or add its objects",
                    where=video.path,
                )
            with TemporaryDirectory(dir=folder) as shards:
                work = ImportWork(
                    config=asked,
                    entry=entry,
                    folder=Path(shards),
                    table=table,
                    matched={video.id: own},
                    videos={video.id: video},
                    classes=classes,
                )
                unit = Unit(index=0, parts=(UnitPart(video_id=video.id),))
                result = work(unit, lambda _: None)  # counts videos, not frames
                for warning in result.warnings:
                    logger.warning("%s", warning)
                for failed in result.failed:
                    raise VideoDecodeError(failed.reason, where=video.path)
                yield video, DetectionFolder(Path(shards), cache_bytes=_KEPT_BYTES)

        yield objects


def check_detects(model: OpenedModel, config: PredictConfig) -> None:
    """Raise DetectorError if the objects of a network can only be passed, not detected."""
    recorded = model.config.detector
    # A file is untrusted, because it is executed.
    is_file = Path(recorded.config_name).suffix == ".py"
    has_none = recorded.is_imported or recorded.is_of_user or is_file
    if has_none and config.config is None and config.detector is None:
        if recorded.is_of_user:
            raise DetectorError(
                f"trained on objects of {path_text(recorded.title)}, whose code is not in the run; "
                "pass --detector FILE.py:NAME, or --shards FOLDER",
                where=path_text(model.path),
            )
        kind = "" if recorded.is_imported else "objects of "
        raise DetectorError(
            f"trained on {kind}{path_text(recorded.title)}, which cannot be detected; pass "
            "those of the videos with --objects FILE --format coco|csv, or --shards FOLDER, or "
            "--config NAME|FILE, --checkpoint FILE and --any-detector",
            where=path_text(model.path),
        )


def load_its_detector(model: OpenedModel, config: PredictConfig) -> Detector:
    """Load the detector used to train a network, or the one chosen by the user.

    The weights are the user's, else the bundled or published weights.

    Raises:
        DetectorError: if there is no such detector, or its weights are not found or not the ones
            used for training.
    """
    from orn.stage1_detect.choose_detector import choose_files, load_chosen
    from orn.stage1_detect.own_detector import load_own, own_name

    recorded = model.config.detector
    settings: dict[str, Any] = {
        "score_threshold": recorded.thresholds.get("score", _USUAL_THRESHOLD),
        "frame_rate": recorded.frame_rate,
        "threads": config.threads,
    }
    detector: Detector
    if config.detector is not None:
        chosen = own_name(config.detector)
        device = choose_device(config.device)
        batch_size = usual_batch_size(device)
        detector = load_own(device, detector=config.detector, batch_size=batch_size, **settings)
    else:
        name = config.config or recorded.config_name
        chosen, checkpoint = choose_files(
            DetectorChoice(), config=name, checkpoint=config.checkpoint
        )
        remedy = "pass it with --checkpoint FILE"
        detector = load_chosen(
            config.device, config=chosen, checkpoint=checkpoint, remedy=remedy, **settings
        )
    check_detector_classes(model.path, model.config, detector.entry.class_names, where=chosen)
    if detector.entry.title != model.detector:
        if not config.any_detector:
            raise _other(model, detector.entry.title, chosen)
        logger.warning(
            "%s: trained with detector %s, but %s is used; predictions may be worse",
            *(model.path, model.detector, detector.entry.title),
        )
    return detector


def _other(model: OpenedModel, got: str, where: str) -> DetectorError:
    return DetectorError(
        f"{path_text(where)}: expected the detector that {model.path} was trained with, "
        f"{model.detector}, got {got}; pass that detector's weights or shards, or use "
        "--any-detector"
    )
