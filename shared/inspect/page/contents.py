"""What is in the page of a shard, as JSON: an index of all frames, and frames in full.

Every text of the shard goes through `safe_json`, so that none of it ends the script that it is in,
and the page shows it as text only.
"""

import base64
import json
from dataclasses import dataclass
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from orn.shared.errors import ShardFormatError
from orn.shared.inspect.summary import ShardSummary
from orn.shared.masks import rle
from orn.shared.masks.detections import FrameDetections
from orn.shared.pages.palette import class_colour, css_colour, text_colour
from orn.shared.shards.schema import VideoEntry
from orn.shared.shards.shard import Shard

_LEAST_SCORE = 0.001
"""Class scores below it are not written."""
_LEAST_SIDE = 480
"""Of the raster that masks are painted on where there is no picture."""
_SAFE_DIGITS = bytes.maketrans(
    bytes(range(48, 112)), b"0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz-_"
)
"""Run lengths have `<` and backslashes among their 64 characters; these have none."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ShownVideo:
    """How a video is shown."""

    size: tuple[int, int]
    """(width, height) of its pictures, or of what stands for them."""
    grey: str | None
    """Why masks are shown on grey; None where there are pictures."""


def safe_json(value: Any) -> str:
    """JSON in ASCII that may stand in an HTML script of any type.

    Raises:
        ValueError: for a number that JSON does not have.
    """
    text = json.dumps(value, separators=(",", ":"), allow_nan=False)
    return text.replace("<", "\\u003c").replace(">", "\\u003e").replace("&", "\\u0026")


def index_of(
    shard: Shard,
    summary: ShardSummary,
    videos: list[ShownVideo],
    *,
    pictures: str,
    notes: list[str],
) -> dict[str, Any]:
    """What the page knows of all frames: times, classes and scores, no masks and no pictures."""
    names, detector = shard.detector.class_names, shard.detector
    borders = video_borders(shard)
    scores = np.nan_to_num(shard.array("scores")).clip(0, 1)
    threshold = ", ".join(f"{name} {value:g}" for name, value in detector.thresholds.items())
    return {
        "title": f"{shard.path.absolute().parent.name}/{shard.path.name}",
        "facts": [
            ["shard", str(shard.path)],
            ["detector", f"{detector.config_name} ({detector.config_digest[:19]})"],
            ["checkpoint", detector.checkpoint_digest[:19]],
            ["thresholds", threshold or "none"],
            ["videos", f"{len(shard.videos):,}, {len(shard.failed):,} failed"],
            ["frames", f"{summary.frames:,}, {summary.frames_without_detections:,} without "
             "detections"],
            ["detections", f"{summary.detections:,}"],
            ["size", f"{summary.size_bytes:,} bytes"],
            ["pictures", pictures],
        ],
        "notes": notes,
        "classes": list(names),
        "colours": [css_colour(class_colour(label)) for label in range(len(names))],
        "inks": [css_colour(text_colour(class_colour(label))) for label in range(len(names))],
        "videos": [
            {
                "id": video.id,
                "grid": [video.width, video.height],
                "rows": [borders[place], borders[place + 1]],
                "size": list(shown.size),
                "grey": shown.grey,
            }
            for place, (video, shown) in enumerate(zip(shard.videos, videos, strict=True))
        ],
        "frames": shard.frame_index().tolist(),
        "seconds": shard.frame_seconds().round(4).tolist(),
        "counts": np.diff(shard.array("frame_offsets")).tolist(),
        "labels": base64.b64encode(shard.array("labels").tobytes()).decode(),
        "scores": base64.b64encode((scores * 255).astype(np.uint8).tobytes()).decode(),
        "odd": [[each.row, each.video_id, each.text] for each in summary.odd],
        "never": list(summary.never),
        "failed": [[video.id, video.reason] for video in shard.failed],
    }  # fmt: skip


def video_borders(shard: Shard) -> list[int]:
    """Rows of video v are [borders[v], borders[v + 1]).

    Raises:
        ShardFormatError: if the frames of a video do not lie side by side.
    """
    if (np.diff(shard.frame_video()) < 0).any():
        raise ShardFormatError(f"{shard.path}: wanted the frames of each video side by side")
    return [
        *np.searchsorted(shard.frame_video(), np.arange(len(shard.videos))).tolist(),
        shard.num_frames,
    ]


def shown_size(video: VideoEntry, picture_HW3: NDArray[np.uint8] | None, *, longest: int) -> Any:
    """(width, height) at which the frames of a video are shown."""
    height, width = (video.height, video.width) if picture_HW3 is None else picture_HW3.shape[:2]
    scale = min(longest / max(height, width), 1.0)
    if picture_HW3 is None:
        scale = min(max(_LEAST_SIDE / max(height, width), 1.0), longest / max(height, width))
    return max(round(width * scale), 1), max(round(height * scale), 1)


def jpeg_base64(picture_HW3: NDArray[np.uint8], size: tuple[int, int], *, quality: int) -> str:
    """A picture as a JPEG of this (width, height), in base64."""
    if picture_HW3.shape[1::-1] != size:
        resized = cv2.resize(picture_HW3, size, interpolation=cv2.INTER_AREA)
        picture_HW3 = np.asarray(resized, np.uint8)
    options = [cv2.IMWRITE_JPEG_QUALITY, quality, cv2.IMWRITE_JPEG_OPTIMIZE, 1]
    _, data = cv2.imencode(".jpg", np.ascontiguousarray(picture_HW3[..., ::-1]), options)
    return base64.b64encode(data.tobytes()).decode()


def frame_json(found: FrameDetections, jpeg: str | None, *, source: str) -> str:
    """A frame in full: `[JPEG or 0, [[label, score, x1, y1, x2, y2, run lengths, scores], ...]]`.

    Scores are pairs of class and score in one list, or 0 where they are not known. It has no text
    of others, thus no backtick, quoted as it may be in a script.

    Raises:
        ShardFormatError: if a mask is malformed or of another size than the grid.
    """
    _check_masks(found, source)
    boxes_N4 = found.boxes.astype(np.float64).round(1).tolist()
    scores_N = np.nan_to_num(found.scores.astype(np.float64)).round(4).tolist()
    detections = [
        [label, score, *box, mask.translate(_SAFE_DIGITS).decode("ascii"), 0]
        for label, score, box, mask in zip(
            found.labels.tolist(), scores_N, boxes_N4, found.masks, strict=True
        )
    ]
    if found.class_scores is not None:
        for detection, scores_S in zip(detections, found.class_scores, strict=True):
            scores_S = np.nan_to_num(scores_S.astype(np.float64))
            shown = np.flatnonzero(scores_S >= _LEAST_SCORE).tolist()
            detection[-1] = [
                value for label in shown for value in (label, round(float(scores_S[label]), 4))
            ]
    return safe_json([jpeg or 0, detections])


def _check_masks(found: FrameDetections, source: str) -> None:
    if not len(found):
        return
    try:
        runs = rle.read_run_lengths(found.masks)
    except ShardFormatError as err:
        raise ShardFormatError(f"{source}: {err}") from err
    ends_M = np.cumsum(runs.num_runs_M)
    pixels_M = np.add.reduceat(runs.lengths_R, ends_M - runs.num_runs_M)
    wanted = found.height * found.width
    if (pixels_M != wanted).any():
        wrong = int(pixels_M[pixels_M != wanted][0])
        raise ShardFormatError(f"{source}: wanted masks of {wanted} pixels, found one of {wrong}")
