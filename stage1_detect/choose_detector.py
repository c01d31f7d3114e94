"""The choice of a detector: its config and its weights, and whether the shards in a folder are
from it."""

import filecmp
from pathlib import Path

from orn.data_manifests.load import shipped_detectors
from orn.data_manifests.records import DetectorChoice
from orn.shared.data_files import file_digest, not_a_file
from orn.shared.errors import DetectorError
from orn.shared.jobs.outputs import check_same_job, start_over
from orn.shared.jobs.plan import PLAN_NAME
from orn.shared.shards.shard_format import SHARD_FILES
from orn.stage1_detect.detect_request import DetectRequest

DEFAULT_CONFIG = "mask-rcnn_r50_fpn_ms-poly-3x_coco"
"""MMDetection's Mask R-CNN with a ResNet-50 FPN backbone, trained for 36 epochs."""
REMEDY = "pass it with --checkpoint FILE (with make: CHECKPOINT=FILE)"


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
        checkpoint, _ = weights_to_fetch(detector_config.path, remedy=REMEDY)
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
        place=folder / PLAN_NAME,
        remedy=f"resume with the recorded settings, {start_over(len(saved.video_ids))}",
    )
