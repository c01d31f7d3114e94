"""The offline page of `orn predict --html`: predictions for videos, with explanations."""

from collections.abc import Iterator, Sequence, Set
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from orn.shared.drawing.frame import DrawnObjects, draw_frame
from orn.shared.errors import VideoDecodeError
from orn.shared.inspect.pictures import pictures_at
from orn.shared.jobs.atomic_file import write_text
from orn.shared.jobs.plan import FailedVideo
from orn.shared.manifests.records import Video
from orn.shared.pages.palette import activity_colour, css_colour
from orn.shared.pages.render import render
from orn.shared.shards.reader import VideoDetections
from orn.shared.text import counted, truncate
from orn.shared.video.reader import VideoReader
from orn.stage2_train.clips.objects import BACKGROUND
from orn.stage2_train.explanation.clip_pictures import (
    MOST_FRAMES,
    MOST_LINES,
    PAIR_FONT_SHARE,
    Line,
    frame_pair,
    join_panels,
    spread,
    strip,
    webp,
)
from orn.stage2_train.explanation.explained import DECIDED
from orn.stage2_train.explanation.page_pictures import (
    LARGEST_PAGE_BYTES,
    Picture,
    fitted_page,
    strip_data,
)
from orn.stage2_train.explanation.scale import FULL_DROP, LEAST_DROP
from orn.stage2_train.predict.records import SeenObject, SegmentPrediction, WindowPrediction
from orn.stage2_train.predict.truth import TrueSegment
from orn.stage2_train.predict.windows import moments_of
from orn.stage2_train.runs.trained import OpenedModel

MOST_TEXT_BYTES = 5_000_000
"""Maximum size of the sections for videos; further videos are only counted."""
_SHOWN, _OF_ONE_VIDEO = 48, 16
"""Maximum number of segments with pictures, in total (but at least one per video) and per video."""
_MOST_BARS = 400
"""Maximum number of segments in the bar for a video."""
_LISTED_CLASSES, _LISTED_PAIRS, _LISTED_WINDOWS = 5, 3, 6
_LANES, _MOST_LANES = 3, 12
"""Numbers of classes with a lane: predicted classes, up to the second number, supplemented by the
most probable other classes up to the first number."""
_ACROSS, _HIGH = 1000, 24
"""Width and height of a lane, in columns and rows."""
_TALLEST = 200
"""Height of a strip in pixels."""
_STRIP_RANK = 1000
"""Rank of the first strip; strips come after all pairs of frames."""
_TOP = (0.5, 0.06)
"""Position of the background, relative to the frame."""
_DASH = "\u2013"
_GREY = "#595c61"


@dataclass(slots=True, kw_only=True, eq=False)
class PredictionPage:
    """Page that collects the predictions for videos."""

    model: OpenedModel
    num_videos: int
    """Number of videos that will be added."""
    _videos: list[dict[str, Any]] = field(default_factory=list)
    _strips: list[Picture] = field(default_factory=list)
    _places: dict[int, int] = field(default_factory=dict)
    """Color index of each shown activity."""
    _text_bytes: int = 0
    _left_out: int = 0

    def add(
        self,
        name: str,
        video: Video,
        detections: VideoDetections,
        windows: Sequence[WindowPrediction],
        segments: Sequence[SegmentPrediction],
        truth: Sequence[TrueSegment] = (),
    ) -> None:
        """Add a video with its predictions.

        Args:
            name: name of the video as given by the user.
            video: the video.
            detections: objects in its frames.
            windows: its windows, sorted by start, with pairs if the network relates objects.
            segments: the segments of these windows.
            truth: labelled segments of the video.

        Raises:
            VideoDecodeError: if the video can no longer be decoded.
            ShardFormatError: if detections are damaged.
        """
        if self._text_bytes > MOST_TEXT_BYTES:
            self._left_out += 1
            return
        key = f"v{len(self._videos)}"
        start, stop = segments[0].start_seconds, segments[-1].stop_seconds
        shown = spread(len(segments), min(max(_SHOWN // self.num_videos, 1), _OF_ONE_VIDEO))
        listed = []
        for place, each in enumerate(segments[:_MOST_BARS]):
            nearest = min(shown, key=lambda other: abs(other - place))
            times = _part(each.start_seconds, each.stop_seconds, (start, stop))
            words = {**self._words(each, windows), "address": f"#{key}-s{nearest}"}
            listed.append(words | times)
        cards = [
            self._card(f"{key}-s{place}", video, detections, windows, segments[place])
            for place in shown
        ]
        moments = list(moments_of(windows, multi_label=self.model.is_multi_label))
        self._videos.append(
            {
                "key": key,
                "name": name,
                "length": f"{stop - start:.2f} s",
                "segments": listed,
                "total": len(segments),
                "truth": [
                    {
                        "predicted": ", ".join(truncate(name, 60) for name in each.names),
                        "colour": self._colour_of(each.names[0]),
                        **_part(each.times.start, each.times.stop, (start, stop)),
                    }
                    for each in truth[:_MOST_BARS]
                    if each.times.start < stop and each.times.stop > start
                ],
                "lanes": list(self._lanes(moments, segments)),
                "times": [f"{each:.2f} s" for each in (start, (start + stop) / 2, stop)],
                "cards": cards,
            }
        )
        self._text_bytes += len(str(self._videos[-1]))

    def add_failed(self, failed: FailedVideo) -> None:
        """Add a video that failed, completely or partly."""
        if self._text_bytes > MOST_TEXT_BYTES:
            self._left_out += 1
            return
        self._videos.append({"name": failed.id, "failed": truncate(failed.reason, 300)})
        self._text_bytes += len(failed.id) + len(failed.reason)

    def write(self, path: Path) -> None:
        """Write the page atomically."""
        config = self.model.config
        facts = [
            ("network", str(self.model.path)),
            ("recipe", f"{config.recipe_name}, seed {config.recipe.seed}, step {self.model.step}"),
            (
                "trained on",
                f"{config.dataset.name}, {counted(config.dataset.num_train, 'segment')}",
            ),
            (
                "objects",
                f"{config.detector.title}, score at least {config.recipe.data.score_threshold}",
            ),
            ("frames", f"{config.recipe.data.clip_frames} per window"),
        ]
        view = {
            "title": self.model.path.resolve().name,
            "config": config,
            "is_multi_label": self.model.is_multi_label,
            "videos": self._videos,
            "left_out": self._left_out,
            "facts": facts,
            "scale": (LEAST_DROP, FULL_DROP),
        }
        cards = [card for each in self._videos for card in each.get("cards", ())]

        def page(held: Set[str]) -> str:
            clips = {card["key"]: [card["when"], card["predicted"], ""] for card in cards}
            data = {"strips": strip_data(self._strips, held), "clips": clips}
            return render("orn.stage2_train.predict/page.html", **view, held=held, data=data)

        pictures = [*(card["picture"] for card in cards), *self._strips]
        html = fitted_page(page, pictures, largest_bytes=LARGEST_PAGE_BYTES, kind="predictions")
        write_text(path, html)

    def _card(
        self,
        key: str,
        video: Video,
        detections: VideoDetections,
        windows: Sequence[WindowPrediction],
        segment: SegmentPrediction,
    ) -> dict[str, Any]:
        """Return a segment with the pictures of its most representative window."""
        window, rank = _representative(windows, segment), len(self._strips)
        pair, strip = window_pictures(self.model, video, detections, window, key=key, rank=rank)
        self._strips.append(strip)
        return {
            **self._words(segment, windows),
            "key": key,
            "picture": pair,
            "chances": [
                (self._name(label), float(segment.probabilities[label]), self._colour(label))
                for label in segment.likeliest()[:_LISTED_CLASSES]
            ],
            "why": self._why(window, segment),
            "decided": DECIDED[window.decided_by] if window.decided_by else "",
            "detected": window.detected_text(),
        }

    def _words(
        self, segment: SegmentPrediction, windows: Sequence[WindowPrediction]
    ) -> dict[str, Any]:
        """Return the texts for a segment: its prediction, and the predictions of its windows."""
        own = [each for each in windows if _overlap(each, segment)]
        each_text = [f"{each.times(_DASH)} {each.class_text(segment.labels)}" for each in own]
        more = f" and {len(own) - _LISTED_WINDOWS} more" if len(own) > _LISTED_WINDOWS else ""
        holds = [label for label in segment.likeliest() if label in segment.labels]
        return {
            "when": segment.times(_DASH),
            "predicted": segment.predicted_text(_LISTED_CLASSES),
            "then": segment.runners_up_text(),
            "windows": f"Mean of {counted(len(own), 'window')}: "
            f"{'; '.join(each_text[:_LISTED_WINDOWS])}{more}",
            "num_windows": len(own),
            "colour": self._colour(holds[0]) if holds else _GREY,
        }

    def _why(self, window: WindowPrediction, segment: SegmentPrediction) -> list[str]:
        """Return sentences about the pairs that support the class of a window."""
        if window.pairs is None:
            return []
        about = ""
        if window.label not in segment.labels:
            about = f" (predicted from {window.times(_DASH)})"
        reasons = [
            f"Without {window.pair_text(pair)}, the logit of \u201c{self._name(window.label)}\u201d"
            f"{about} drops by {pair.logit_drop:.2f}."
            for pair in window.pairs[:_LISTED_PAIRS]
            if pair.logit_drop >= LEAST_DROP
        ]
        return reasons or [f"No pair supports this prediction by more than {LEAST_DROP}."]

    def _lanes(
        self, moments: Sequence[SegmentPrediction], segments: Sequence[SegmentPrediction]
    ) -> Iterator[dict[str, Any]]:
        """Yield the lanes of the predicted classes, and of other classes if there are few."""
        predicted = dict.fromkeys(label for each in segments for label in each.labels)
        highest_A = np.stack([each.probabilities for each in moments]).max(axis=0)
        order = np.argsort(-highest_A, kind="stable").tolist()
        others = [label for label in order if label not in predicted]
        start, stop = moments[0].start_seconds, moments[-1].stop_seconds
        per_second = _ACROSS / max(stop - start, 1e-9)
        for label in [*predicted, *others[: max(_LANES - len(predicted), 0)]][:_MOST_LANES]:
            steps: dict[int, float] = {}
            for each in moments:
                column = round((each.start_seconds - start) * per_second)
                steps[column] = max(steps.get(column, 0.0), float(each.probabilities[label]))
            path = "".join(f"H{column}V{_HIGH * (1 - each):.1f}" for column, each in steps.items())
            yield {
                "name": self._name(label),
                "path": f"M0 {_HIGH}{path}H{_ACROSS}V{_HIGH}Z",
                "highest": f"at most {100 * highest_A[label]:.0f} %",
                "colour": self._colour(label),
            }

    def _name(self, label: int) -> str:
        return truncate(self.model.classes[label], 80)

    def _colour(self, label: int) -> str:
        return css_colour(activity_colour(self._places.setdefault(label, len(self._places))))

    def _colour_of(self, name: str) -> str:
        """Return the color of a class; gray if it is not a class of the network."""
        classes = self.model.classes
        return self._colour(classes.index(name)) if name in classes else _GREY


def _representative(
    windows: Sequence[WindowPrediction], segment: SegmentPrediction
) -> WindowPrediction:
    """Return the window nearest to the middle of a segment, preferably with the segment's class."""
    own = [each for each in windows if each.label in segment.labels and _overlap(each, segment)]
    return min(own or windows, key=lambda each: abs(each.middle - segment.middle))


def _overlap(window: WindowPrediction, segment: SegmentPrediction) -> bool:
    return (
        window.start_seconds < segment.stop_seconds and window.stop_seconds > segment.start_seconds
    ) or window.start_seconds == window.stop_seconds == segment.start_seconds


def _part(start: float, stop: float, whole: tuple[float, float]) -> dict[str, str]:
    """Return the position of a part of a video in percent of the video's length."""
    first, last = max(start, whole[0]), min(stop, whole[1])
    scale = 100 / max(whole[1] - whole[0], 1e-9)
    width = min(max((last - first) * scale, 0.1), 100) if whole[1] > whole[0] else 100
    return {"left": f"{(first - whole[0]) * scale:.2f}", "width": f"{width:.2f}"}


def window_pictures(
    model: OpenedModel,
    video: Video,
    detections: VideoDetections,
    window: WindowPrediction,
    *,
    key: str,
    rank: int,
) -> tuple[Picture, Picture]:
    """Return the two most important frames of a window, and all its frames side by side.

    Args:
        model: model that made the predictions.
        video: the video.
        detections: objects in its frames, to be drawn.
        window: the window, with pairs if the network relates objects.
        key: key of the second picture; the key of the first is `KEY-pair`.
        rank: rank of the first picture.
    """
    lines = _lines(window, detections)
    panels = frame_pair(lines, len(window.frames))
    shown = spread(len(window.frames), MOST_FRAMES)
    drawn = dict(_drawn(model, video, detections, window, {*panels, *shown}))
    joined = join_panels(lines, drawn.__getitem__, num_frames=len(window.frames))
    alt = f"Frames of {window.times()} with the objects in them"
    frames = [drawn[place] for place in shown]
    return (
        Picture(key=f"{key}-pair", data=webp(joined), alt=alt, rank=rank),
        strip(frames, key=key, rank=rank + _STRIP_RANK, tallest=_TALLEST),
    )


def _drawn(
    model: OpenedModel,
    video: Video,
    detections: VideoDetections,
    window: WindowPrediction,
    wanted: set[int],
) -> Iterator[tuple[int, NDArray[np.uint8]]]:
    """Yield the frames of a window with their objects, all of the same size."""
    order = sorted(wanted)
    threshold = model.config.recipe.data.score_threshold
    size: tuple[int, int] | None = None
    reader = VideoReader(video.path, rate=video.rate, kept_bytes=0)
    images = pictures_at(reader, (window.frames[each] for each in order))
    for each, image in zip(order, images, strict=True):
        if image is None:
            raise VideoDecodeError(
                f"{video.path}: expected frame {window.frames[each]}, got none; run again"
            )
        row = int(detections.nearest_rows([window.seconds[each]])[0])
        picture_HW3 = draw_frame(
            image,
            DrawnObjects.of(detections.frame(row), score_threshold=threshold),
            class_names=model.detector_classes,
            caption=f"{window.seconds[each]:.2f} s",
            size=size,
            font_share=PAIR_FONT_SHARE,
        )
        size = picture_HW3.shape[1], picture_HW3.shape[0]
        yield each, picture_HW3


def _lines(window: WindowPrediction, detections: VideoDetections) -> list[Line]:
    """Return the lines for the pairs of a window."""
    grid = (detections.video.width, detections.video.height)
    lines = []
    for pair in (window.pairs or ())[:MOST_LINES]:
        places = [*zip(pair.frames, pair.objects, strict=True)]
        objects = [window.objects[frame][place] for frame, place in places]
        lines.append(
            Line(
                points=tuple(
                    (frame, *_centre(each, grid))
                    for frame, each in zip(pair.frames, objects, strict=True)
                ),
                drop=pair.logit_drop,
                words=tuple(BACKGROUND if each.name == BACKGROUND else "" for each in objects),
            )
        )
    return [each for each in lines if each.drop > 0]


def _centre(seen: SeenObject, grid: tuple[int, int]) -> tuple[float, float]:
    """Return the centre of an object, relative to the frame's width and height."""
    if seen.name == BACKGROUND:
        return _TOP
    x1, y1, x2, y2 = seen.box
    return (x1 + x2) / 2 / grid[0], (y1 + y2) / 2 / grid[1]
