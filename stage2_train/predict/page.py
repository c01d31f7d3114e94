"""`orn predict --html`: a page of what is predicted for videos, that works offline.

Built of the parts of the page of a run (`stage2_train.insight`): texts of others are escaped there,
and pictures taken while the page has room for them.

A activity classes, H W the picture.
"""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray

from shared.drawing.frame import DrawnObjects, draw_frame
from shared.errors import VideoDecodeError
from shared.inspect.pictures import sought_pictures
from shared.jobs.atomic_file import write_text
from shared.manifests.records import Video
from shared.manifests.source import source_of
from shared.masks.coco_classes import COCO_CLASSES
from shared.shards.reader import VideoDetections
from shared.shards.schema import FailedVideo
from stage2_train.insight.clip_pictures import Line, frame_pair, join_panels, webp
from stage2_train.insight.explained import BACKGROUND
from stage2_train.insight.report_page import (
    Picture,
    ReportPage,
    Section,
    decided_lines,
    listed_facts,
    shown,
    table,
)
from stage2_train.predict.opened import OpenedModel
from stage2_train.predict.records import SeenObject, SegmentPrediction, WindowPrediction
from stage2_train.predict.timeline import bars, timeline
from stage2_train.predict.windows import moments_of

LARGEST_PAGE_BYTES = 10_000_000
PAIRS_SHOWN = 8
"""That are joined by lines in a picture."""
_MOST_TEXT_BYTES = 5_000_000
"""Of the sections of videos; more videos are counted and not shown."""
_SHOWN_WINDOWS = 48
"""Looks that have pictures, over all videos; a video has one at least."""
_OF_ONE_VIDEO = 16
_STRIP_FRAMES, _STRIP_WIDTH = 12, 260
_LISTED_STRETCHES = 200
_LISTED_OBJECTS = 12
_LISTED_CLASSES = 5
_LISTED_PAIRS = 3
_DASH = "\u2013"
_TOP = (0.5, 0.06)
"""Where the background, which is everywhere, is pointed at."""


@dataclass(slots=True, kw_only=True, eq=False)
class PredictionPage:
    """Takes one video after another and becomes a page."""

    model: OpenedModel
    num_videos: int
    """How many will come."""
    _sections: list[Section] = field(default_factory=list)
    _rows: list[tuple[str, str, str]] = field(default_factory=list)
    _text_bytes: int = 0
    _left_out: int = 0

    def add(
        self,
        name: str,
        video: Video,
        detections: VideoDetections,
        windows: Sequence[WindowPrediction],
        segments: Sequence[SegmentPrediction],
    ) -> None:
        """Takes a video and what is said of it.

        Args:
            name: what the user called it.
            video: what was looked at.
            detections: of its frames.
            windows: by their starts, with pairs where the network relates objects.
            segments: what they come to.

        Raises:
            VideoDecodeError: if the video can no longer be decoded.
            ShardFormatError: if detections are damaged.
        """
        if self._text_bytes > _MOST_TEXT_BYTES:
            self._left_out += 1
            return
        number = len(self._rows)
        chosen = self._chosen(windows, segments)

        def address(segment: SegmentPrediction) -> str:
            return f"#v{number}-w{_nearest(windows, chosen, segment)}"

        parts: list[str | Picture] = [
            timeline(
                list(moments_of(windows, multi_label=self.model.is_multi_label)),
                segments,
                self.model.classes,
                address=address,
            ),
            self._table(segments, address),
            "<h3>What was looked at</h3>",
        ]
        for rank, place in enumerate(chosen):
            parts += self._look(f"v{number}-w{place}", video, detections, windows[place], rank)
        self._text_bytes += sum(len(each.encode()) for each in parts if isinstance(each, str))
        self._sections.append(Section(id=f"v{number}", title=name, parts=parts, listed=False))
        says = ", ".join(each.says(self._name, _LISTED_CLASSES) for each in segments[:3])
        more = f" and {len(segments) - 3:,} more stretches" if len(segments) > 3 else ""
        length = segments[-1].stop_seconds - segments[0].start_seconds
        row = (f'<a href="#v{number}">{shown(name)}</a>', f"{length:.2f} s", f"{says}{more}")
        self._rows.append(row)

    def add_failed(self, failed: FailedVideo) -> None:
        """Takes a video that nothing, or not all, can be said of."""
        if self._text_bytes > _MOST_TEXT_BYTES:
            self._left_out += 1
            return
        self._rows.append((shown(failed.id), "", f"failed: {shown(failed.reason)}"))
        self._text_bytes += sum(map(len, self._rows[-1]))

    def write(self, path: Path) -> None:
        """Writes the page, whole or not at all.

        Raises:
            PipelineError: if the disk refuses.
        """
        record = self.model.config.dataset
        limits = (
            "each of which may hold or not"
            if self.model.is_multi_label
            else "and names one of these, also where a video shows none of them"
        )
        lead = (
            f'<p class="dim">What a network says that learned from {shown(record.name)} to tell '
            f"{len(record.classes)} activities, {limits}.</p>"
        )
        if self._left_out:
            left = f"{self._left_out:,} more videos have no room on this page"
            lead += f'<p class="notes">{left}; --json and --csv have them.</p>'
        videos = table(("video", "length", "says"), self._rows, texts=(0, 2), name="Videos")
        page = ReportPage(
            title=self.model.path.resolve().name,
            lead=lead + videos,
            kind="predictions",
            sections=[*self._sections, self._made()],
        )
        write_text(path, page.html(LARGEST_PAGE_BYTES))

    def _chosen(
        self, windows: Sequence[WindowPrediction], segments: Sequence[SegmentPrediction]
    ) -> list[int]:
        """Numbers of the windows that are shown: those in the middle of stretches, spread where
        these are many, and others between where they are few."""
        most = min(max(_SHOWN_WINDOWS // self.num_videos, 1), _OF_ONE_VIDEO)
        everywhere = range(len(windows))
        middles = list(dict.fromkeys(_nearest(windows, everywhere, each) for each in segments))
        chosen = {middles[place] for place in _spread(len(middles), most)}
        for place in _spread(len(windows), most):
            if len(chosen) < most:
                chosen.add(place)
        return sorted(chosen)

    def _name(self, label: int) -> str:
        return shown(self.model.classes[label], 80)

    def _table(
        self, segments: Sequence[SegmentPrediction], address: Callable[[SegmentPrediction], str]
    ) -> str:
        rows = []
        for each in segments[:_LISTED_STRETCHES]:
            link = f'<a href="{address(each)}">{each.times(_DASH)}</a>'
            says, then = each.says(self._name, _LISTED_CLASSES), each.runners_up(self._name)
            rows.append((link, says, then, str(each.windows)))
        left = len(segments) - len(rows)
        caption = f"The first {len(rows)}; {left:,} more are in --json and --csv" if left else ""
        header = ("time", "says", "then", "looks")
        return table(header, rows, texts=(0, 1, 2), name="Stretches", caption=caption)

    def _look(
        self,
        address: str,
        video: Video,
        detections: VideoDetections,
        window: WindowPrediction,
        rank: int,
    ) -> Iterator[str | Picture]:
        """The pictures of a window, and what is said of it."""
        lines = _lines(window, detections)
        panels = frame_pair(lines, len(window.frames))
        strip = _spread(len(window.frames), _STRIP_FRAMES)
        large: dict[int, NDArray[np.uint8]] = {}
        small = []
        for place, picture_HW3 in self._drawn(video, detections, window, {*panels, *strip}):
            if place in panels:
                large[place] = picture_HW3
            if place in strip and len(strip) > 2:
                seconds, names = window.seconds[place], _names(window, place)
                small.append(
                    Picture(
                        key=f"{address}-{place}",
                        data=webp(picture_HW3, widest=_STRIP_WIDTH, quality=60),
                        media="image/webp",
                        alt=f"{seconds:.2f} s: {names or 'nothing found'}",
                        rank=rank + _SHOWN_WINDOWS,
                    )
                )
        joined = join_panels(lines, large.__getitem__, num_frames=len(window.frames))
        first = f"; lines join {window.words(window.pairs[0])}" if lines and window.pairs else ""
        times = window.times(_DASH)
        yield f'<div class="look" id="{address}"><figure>'
        yield Picture(
            key=address,
            data=webp(joined),
            media="image/webp",
            alt=f"Frames of {times} with the objects in them{first}",
            rank=rank,
        )
        says = f"{self._name(window.label)} {window.probabilities[window.label]:.2f}"
        yield f"<figcaption><b>{times}: {says}</b></figcaption></figure>"
        likeliest = bars(window.probabilities, self.model.classes, _LISTED_CLASSES)
        yield f'<div class="beside">{likeliest}{_why(window)}</div><div class="film">'
        yield from small
        yield "</div></div>"

    def _drawn(
        self,
        video: Video,
        detections: VideoDetections,
        window: WindowPrediction,
        wanted: set[int],
    ) -> Iterator[tuple[int, NDArray[np.uint8]]]:
        """Some frames of a window with their objects, all of one size."""
        order = sorted(wanted)
        threshold = self.model.config.recipe.data.score_threshold
        size: tuple[int, ...] | None = None
        places = [window.frames[each] for each in order]
        images = sought_pictures(source_of(video), video.rate, places)
        for each, image in zip(order, images, strict=True):
            if image is None:
                raise VideoDecodeError(
                    f"{video.path}: wanted frame {window.frames[each]}, found none"
                )
            row = int(detections.nearest_rows([window.seconds[each]])[0])
            picture_HW3 = draw_frame(
                image,
                DrawnObjects.of(detections.frame(row), score_threshold=threshold),
                class_names=COCO_CLASSES,
                caption=f"{window.seconds[each]:.2f} s",
            )
            size = size or picture_HW3.shape[1::-1]
            if picture_HW3.shape[1::-1] != size:
                picture_HW3 = np.asarray(cv2.resize(picture_HW3, size), np.uint8)
            yield each, picture_HW3

    def _made(self) -> Section:
        """What says it."""
        config = self.model.config
        facts = [
            ("network", str(self.model.path)),
            ("recipe", f"{config.recipe_name}, seed {config.recipe.seed}, step {config.step}"),
            ("trained on", f"{config.dataset.name}, {config.dataset.num_train} segments"),
            (
                "objects",
                f"{config.dataset.detector}, score from {config.recipe.data.score_threshold}",
            ),
            ("frames", f"{config.clips.clip_frames} of each look"),
        ]
        return Section(id="made", title="What says it", parts=[listed_facts(facts)])


def _why(window: WindowPrediction) -> str:
    """The pairs that decided, in words, and what the network saw."""
    lines = [
        f"Its logit falls by {pair.fall:.2f} without {shown(window.words(pair))}."
        for pair in (window.pairs or ())[:_LISTED_PAIRS]
    ]
    best: dict[str, float] = {}
    for each in (each for frame in window.objects for each in frame):
        if each.name != BACKGROUND:
            best[each.name] = max(best.get(each.name, 0.0), each.score)
    seen = sorted(best.items(), key=lambda each: -each[1])[:_LISTED_OBJECTS]
    lines += decided_lines(window.decided_by, seen)
    return f"<p>{'<br>'.join(lines)}</p>"


def _lines(window: WindowPrediction, detections: VideoDetections) -> list[Line]:
    """The pairs of a window, as they are drawn."""
    grid = (detections.video.width, detections.video.height)
    return [
        Line(
            points=tuple(
                (frame, *_centre(window.objects[frame][place], grid))
                for frame, place in zip(pair.frames, pair.objects, strict=True)
            ),
            fall=pair.fall,
            words=tuple(
                BACKGROUND if window.objects[frame][place].name == BACKGROUND else ""
                for frame, place in zip(pair.frames, pair.objects, strict=True)
            ),
        )
        for pair in (window.pairs or ())[:PAIRS_SHOWN]
        if pair.fall > 0
    ]


def _centre(seen: SeenObject, grid: tuple[int, int]) -> tuple[float, float]:
    """As shares of the width and the height."""
    if seen.name == BACKGROUND:
        return _TOP
    x1, y1, x2, y2 = seen.box
    return (x1 + x2) / 2 / grid[0], (y1 + y2) / 2 / grid[1]


def _names(window: WindowPrediction, place: int) -> str:
    names = [each.name for each in window.objects[place] if each.name != BACKGROUND]
    return ", ".join(names[:_LISTED_OBJECTS])


def _nearest(
    windows: Sequence[WindowPrediction], numbers: Sequence[int], segment: SegmentPrediction
) -> int:
    """The number of the window in whose middle the middle of a stretch lies most."""
    return min(numbers, key=lambda number: abs(windows[number].middle - segment.middle))


def _spread(count: int, most: int) -> list[int]:
    """At most so many places of `count`, evenly."""
    return np.unique(np.linspace(0, count - 1, min(most, count)).round().astype(int)).tolist()
