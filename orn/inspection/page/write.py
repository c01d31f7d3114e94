"""Write the page of a shard: a folder with an index.html, which has an index of all frames, and
files with the frames."""

import base64
import logging
import shutil
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from itertools import islice
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from markupsafe import Markup
from numpy.typing import NDArray

from orn.inspection.shard_videos import ActivityLabels, Pictures, pictures_or_gray
from orn.inspection.summary import summarize, summary_facts
from orn.shared.jobs.atomic_file import replacing
from orn.shared.jobs.outputs import EarlierResults, Marker, check_output_folder
from orn.shared.jobs.progress import SILENT, Bar, Reporter
from orn.shared.masks.detections import FrameDetections
from orn.shared.pages.palette import activity_color, class_color, css_color, text_color
from orn.shared.pages.render import json_data, render
from orn.shared.shards.shard import Shard
from orn.shared.shards.shard_format import VideoEntry
from orn.shared.text import counted

logger = logging.getLogger(__name__)

_PAGE = Marker(name="index.html", mark=b'<meta name="generator" content="orn inspect">')
_NO_LABELS = ActivityLabels()
_CHUNK_FRAMES = 16
_LEAST_SCORE = 0.001
"""Class scores below this value are omitted."""
_LONGEST_SIDE, _LEAST_SIDE = 800, 480
"""Maximum longer side of a picture in pixels, and minimum longer side of a gray placeholder."""
_QUALITY = 80
_SAFE_DIGITS = bytes.maketrans(
    bytes(range(48, 112)), b"0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz-_"
)
"""Replacements for the 64 characters of run lengths, which include `<` and backslashes."""


@dataclass(slots=True, kw_only=True)
class ShownVideo:
    """Appearance of a video on the page."""

    size: tuple[int, int]
    """(width, height) of its pictures or of their placeholders."""
    gray: str | None = None
    """The reason why masks are on gray; None if there are pictures."""


def write_page(
    shard: Shard,
    pictures: Pictures,
    out: Path,
    reporter: Reporter = SILENT,
    *,
    labels: ActivityLabels = _NO_LABELS,
    score_threshold: float = 0.5,
) -> Path:
    """Write a folder with all frames, in files loaded on demand, and return its index.html.

    Args:
        shard: the shard.
        pictures: source of the pictures under the masks.
        out: the folder; an existing page of a shard is replaced, any other folder is not.
        labels: labels of the videos.
        score_threshold: minimum score of the objects shown, until the reader changes it.

    Raises:
        ConfigError: if `out` exists and is not a page of a shard.
        PipelineError: if a file cannot be written.
        ShardFormatError: if the shard is damaged.
    """
    check_page_output(out)
    earlier = EarlierResults(folder=out, files=tuple(out.glob("frames-????????/[0-9]*.js")))
    videos = [ShownVideo(size=shown_size(video, None)) for video in shard.videos]
    frames = _frames(shard, pictures, videos)
    with replacing(out / "index.html") as temporary:
        folder = out / f"frames-{temporary.name[-8:]}"
        try:
            folder.mkdir()
            with reporter.progress("page", total=shard.num_frames, unit="frames") as bar:
                _write_chunks(frames, folder, bar)
            view = _view(shard, labels, videos, pictures.name)
            view["data"] |= {
                "folder": folder.name,
                "framesOfFile": _CHUNK_FRAMES,
                "least": score_threshold,
            }
            html = render("orn.inspection.page/shard.html", **view)
            temporary.write_text(html, encoding="utf-8")
        except BaseException:
            shutil.rmtree(folder, ignore_errors=True)
            raise
    earlier.remove()
    gray = [(video.id, look.gray) for video, look in zip(shard.videos, videos, strict=True)
            if look.gray is not None]  # fmt: skip
    if gray:
        logger.warning(
            "drawing masks on a gray background in %d of %d videos; for %r: %s",
            *(len(gray), len(shard.videos), *gray[0]),
        )
    return out / "index.html"


def _frames(shard: Shard, pictures: Pictures, videos: Sequence[ShownVideo]) -> Iterator[Markup]:
    """Yield all frames as JSON, and complete the appearance of the videos."""
    seconds_F = shard.frame_seconds()
    for video, look in zip(shard.videos, videos, strict=True):
        start, stop = shard.video_rows(video.id)
        on_gray = partial(setattr, look, "gray")
        seconds_n = seconds_F[start:stop]
        shown = pictures_or_gray(pictures, video, seconds_n, on_gray) if start < stop else ()
        for row, picture in zip(range(start, stop), shown, strict=True):
            jpeg, detections = None, shard.checked_frame(row)
            if picture is not None:
                look.size, look.gray = shown_size(video, picture), None
                jpeg = encoded_picture(picture, look.size)
            yield frame_json(detections, jpeg)


def _write_chunks(frames: Iterator[Markup], folder: Path, bar: Bar) -> None:
    """Write files of `_CHUNK_FRAMES` frames, one frame per line."""
    chunks = iter(lambda: [*islice(frames, _CHUNK_FRAMES)], [])
    for number, lines in enumerate(chunks):
        text = "\n".join(lines)
        (folder / f"{number:06d}.js").write_text(f"ornFrames({number},`{text}`);\n", "ascii")
        bar.advance(len(lines))


def check_page_output(out: Path) -> None:
    """Raise ConfigError if `out` exists and is not a page of a shard."""
    check_output_folder(out, marker=_PAGE)


def _view(
    shard: Shard, labels: ActivityLabels, videos: Sequence[ShownVideo], pictures: str
) -> dict[str, Any]:
    """Return the values in the template, with `data`, the times, classes and scores of all frames,
    without masks and pictures."""
    summary, names = summarize(shard), shard.detector.class_names
    segments: dict[str, list[Any]] = {video.id: [] for video in shard.videos}
    for segment in labels.segments:
        times = (segment.start_seconds, segment.stop_seconds)
        segments.setdefault(segment.video_id, []).append((*times, segment.labels))
    colors = [class_color(label) for label in range(len(names))]
    data = {
        "classes": names,
        "scoreKind": shard.score_kind,
        "colors": list(map(css_color, colors)),
        "inks": [css_color(text_color(color)) for color in colors],
        "activities": labels.classes,
        "activityColors": [
            css_color(activity_color(index)) for index in range(len(labels.classes))
        ],
        "videos": [
            {
                "id": video.id,
                "grid": (video.width, video.height),
                "rows": shard.video_rows(video.id),
                "size": shown.size,
                "gray": shown.gray,
                "segments": segments[video.id],
            }
            for video, shown in zip(shard.videos, videos, strict=True)
        ],
        "frames": shard.frame_index().tolist(),
        "seconds": shard.frame_seconds().round(4).tolist(),
        "counts": np.diff(shard.array("frame_offsets")).tolist(),
        "labels": _base64(shard.array("labels").astype("<u2")),
        "scores": _base64((shard.array("scores") * 255).astype(np.uint8)),
    }
    return {
        "title": f"{shard.path.absolute().parent.name}/{shard.path.name}",
        "facts": [*summary_facts(summary), ("pictures", pictures), ("labels", labels.title)],
        "failed": [f"{video.id}: {video.reason}" for video in shard.failed],
        "videos": [(video["id"], counted(video["frames"], "frame")) for video in summary["videos"]],
        "data": data,
    }


def _base64(values: NDArray[Any]) -> str:
    return base64.b64encode(values.tobytes()).decode()


def shown_size(video: VideoEntry, picture_HW3: NDArray[np.uint8] | None) -> tuple[int, int]:
    """Return the display size (width, height) of the frames of a video."""
    height, width = (video.height, video.width) if picture_HW3 is None else picture_HW3.shape[:2]
    scale = min(_LONGEST_SIDE / max(height, width), 1.0)
    if picture_HW3 is None:
        scale = max(scale, _LEAST_SIDE / max(height, width))
    return max(round(width * scale), 1), max(round(height * scale), 1)


def encoded_picture(picture_HW3: NDArray[np.uint8], size: tuple[int, int]) -> str:
    """Return a picture as base64 JPEG, resized to (width, height)."""
    if picture_HW3.shape[1::-1] != size:
        resized = cv2.resize(picture_HW3, size, interpolation=cv2.INTER_AREA)
        picture_HW3 = np.asarray(resized, np.uint8)
    options = [cv2.IMWRITE_JPEG_QUALITY, _QUALITY, cv2.IMWRITE_JPEG_OPTIMIZE, 1]
    _, data = cv2.imencode(".jpg", np.ascontiguousarray(picture_HW3[..., ::-1]), options)
    return base64.b64encode(data.tobytes()).decode()


def frame_json(detections: FrameDetections, jpeg: str | None) -> Markup:
    """Return a valid frame as JSON: `[JPEG or 0, [[label, score, x1, y1, x2, y2, run lengths,
    scores, track], ...]]`.

    Scores are a flat list of class and score pairs, or 0 if unknown; a track is text, which keeps
    its digits in JavaScript, and is missing if the shard has none. The JSON contains no untrusted
    text, so it is safe in a script's template string.
    """
    boxes_N4 = detections.boxes.astype(np.float64).round(1).tolist()
    scores_N = detections.scores.astype(np.float64).round(4).tolist()
    rows = [
        [label, score, *box, mask.translate(_SAFE_DIGITS).decode("ascii"), 0]
        for label, score, box, mask in zip(
            detections.labels.tolist(), scores_N, boxes_N4, detections.masks, strict=True
        )
    ]
    if detections.class_scores is not None:
        for row, scores_S in zip(rows, detections.class_scores, strict=True):
            shown = np.flatnonzero(scores_S >= _LEAST_SCORE).tolist()
            row[-1] = [
                value for label in shown for value in (label, round(float(scores_S[label]), 4))
            ]
    if detections.tracks is not None:
        for row, track in zip(rows, detections.tracks.tolist(), strict=True):
            row.append(str(track))
    return json_data([jpeg or 0, rows])
