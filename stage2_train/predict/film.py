"""A film of a video with its objects, what is predicted from moment to moment, and the pair of
objects that decided.

H W the picture, A activity classes.
"""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray

from orn.shared.drawing.colours import class_colour
from orn.shared.drawing.film import write_film
from orn.shared.drawing.frame import DrawnObjects, draw_frame
from orn.shared.drawing.text import draw_text
from orn.shared.errors import JoinError
from orn.shared.manifests.records import Video
from orn.shared.manifests.source import source_of
from orn.shared.masks.coco_classes import COCO_CLASSES
from orn.shared.shards.video_detections import VideoDetections
from orn.shared.video.read import read_frames
from orn.stage2_train.predict.records import DecidingPair, SegmentPrediction, WindowPrediction
from orn.stage2_train.predict.windows import likeliest_anywhere, moments_of
from orn.stage2_train.runs.trained import OpenedModel

_CURVES = 3
"""Classes whose probabilities are drawn, those that are the highest anywhere."""
_LINE = 22
"""Rows of a line of text, in pictures up to the usual width."""
_TEXT_SHARE = 0.6
"""Size of the font, as a share of a line's height."""
_USUAL_WIDTH = 800
_GRAPH = 80
"""Rows of the graph below these."""
_LEAST_WIDTH = 480
"""Narrower pictures get bars beside them, so that the text below fits."""
_MARGIN = 8
_DARK, _GREY, _WHITE = (24, 24, 24), (110, 110, 110), (255, 255, 255)
_Colour = tuple[int, int, int]


def draw_prediction(
    path: Path,
    model: OpenedModel,
    video: Video,
    detections: VideoDetections,
    windows: Sequence[WindowPrediction],
    *,
    drawn: Callable[[int], None] = lambda num_pictures: None,
) -> int:
    """Writes the film, whole or not at all; says how many pictures it has.

    Args:
        path: the file, MP4.
        model: what predicted.
        video: what was looked at.
        detections: of its frames.
        windows: all predictions for it, by their starts; pairs are drawn where they have some.
        drawn: called with the number of pictures after each.

    Raises:
        VideoDecodeError: if the video can no longer be decoded, or its times are too far apart.
        ShardFormatError: if detections are damaged.
        PipelineError: if the disk refuses.
    """
    threshold = model.config.recipe.data.score_threshold
    moments = list(moments_of(windows, multi_label=model.is_multi_label))

    def pictures() -> Iterator[tuple[float, NDArray[np.uint8]]]:
        panel: _Panel | None = None
        size: tuple[int, int] | None = None
        number = 0
        for frame in read_frames(source_of(video), rate=video.rate):
            try:
                row = int(detections.nearest_rows([frame.seconds])[0])
            except JoinError:  # not looked at
                continue
            picture = draw_frame(
                frame.image,
                DrawnObjects.of(detections.frame(row), score_threshold=threshold),
                class_names=COCO_CLASSES,
                caption=f"frame {frame.index}, {frame.seconds:.3f} s",
                size=size,
            )
            size = picture.shape[1], picture.shape[0]
            window = min(windows, key=lambda each: abs(each.middle - frame.seconds))
            if window.pairs:
                per_pixel = picture.shape[1] / frame.image.shape[1]
                _draw_pair(picture, window, window.pairs[0], frame.seconds, per_pixel)
            picture = _widened(picture)
            panel = panel or _Panel.of(model.classes, moments, width=picture.shape[1])
            yield frame.seconds, np.concatenate([picture, panel.at(frame.seconds, window)])
            number += 1
            drawn(number)

    return write_film(path, pictures())


def _draw_pair(
    picture_HW3: NDArray[np.uint8],
    window: WindowPrediction,
    pair: DecidingPair,
    seconds: float,
    per_pixel: float,
) -> None:
    """Frames the objects of a pair, the one whose time is nearer in full, and joins them."""
    centres = []
    distances = [abs(window.seconds[frame] - seconds) for frame in pair.frames]
    for frame, place, distance in zip(pair.frames, pair.objects, distances, strict=True):
        x1, y1, x2, y2 = (round(each * per_pixel) for each in window.objects[frame][place].box)
        is_near = distance == min(distances)
        cv2.rectangle(picture_HW3, (x1, y1), (x2, y2), _WHITE, 4 if is_near else 1, cv2.LINE_AA)
        top = y2 - _line_height(picture_HW3.shape[1])
        _write(picture_HW3, f"{window.seconds[frame]:.2f} s", top, left=x1 + 4)
        centres.append(((x1 + x2) // 2, (y1 + y2) // 2))
    for here, there in pairwise(centres):
        cv2.line(picture_HW3, here, there, _WHITE, 2, cv2.LINE_AA)


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class _Panel:
    """What stands below the pictures: a line of prediction, one of the pair, and a graph."""

    classes: Sequence[str]
    moments: Sequence[SegmentPrediction]
    shown: tuple[int, ...]
    """Classes that are drawn."""
    graph: NDArray[np.uint8]
    """(_GRAPH, W, 3), without the cursor."""

    @classmethod
    def of(
        cls, classes: Sequence[str], moments: Sequence[SegmentPrediction], *, width: int
    ) -> "_Panel":
        shown = tuple(likeliest_anywhere(moments, _CURVES))
        graph = np.full((_GRAPH, width, 3), _DARK, np.uint8)
        cv2.line(graph, (_MARGIN, _GRAPH - _MARGIN), (width - _MARGIN, _GRAPH - _MARGIN), _GREY)
        panel = cls(classes=classes, moments=moments, shown=shown, graph=graph)
        for label in shown:
            ends = [
                (panel._column(seconds), panel._row(each.probabilities[label]))
                for each in moments
                for seconds in (each.start_seconds, each.stop_seconds)
            ]
            cv2.polylines(graph, [np.array(ends, np.int32)], False, _colour(label), 2, cv2.LINE_AA)
        return panel

    def at(self, seconds: float, window: WindowPrediction) -> NDArray[np.uint8]:
        """(H, W, 3) the panel at a moment."""
        width = self.graph.shape[1]
        moment = min(
            self.moments,
            key=lambda m: max(m.start_seconds - seconds, seconds - m.stop_seconds, 0.0),
        )
        line = _line_height(width)
        text = np.full((line * (1 + len(self.shown)), width, 3), _DARK, np.uint8)
        for place, label in enumerate(self.shown):
            chance = moment.probabilities[label]
            top = place * line
            bar = round((width - 2 * _MARGIN) * float(chance))
            corner = (_MARGIN + bar, top + line - 1)
            cv2.rectangle(text, (_MARGIN, top + line - 4), corner, _colour(label), cv2.FILLED)
            says = f"{chance:.2f} {self.classes[label]}"
            _write(text, says, top, bold=label in moment.labels)
        if window.pairs:
            pair = window.pairs[0]
            members = " - ".join(
                f"{window.objects[frame][place].name} {window.seconds[frame]:.2f} s"
                for frame, place in zip(pair.frames, pair.objects, strict=True)
            )
            _write(text, f"pair: {members} ({pair.fall:+.2f})", line * len(self.shown))
        graph = self.graph.copy()
        column = self._column(seconds)
        cv2.line(graph, (column, 0), (column, _GRAPH), _WHITE, 1)
        return np.concatenate([text, graph])

    def _column(self, seconds: float) -> int:
        first, last = self.moments[0].start_seconds, self.moments[-1].stop_seconds
        share = min(max((seconds - first) / max(last - first, 1e-9), 0.0), 1.0)
        return _MARGIN + round(share * (self.graph.shape[1] - 2 * _MARGIN))

    def _row(self, chance: float) -> int:
        return _GRAPH - _MARGIN - round(float(chance) * (_GRAPH - 2 * _MARGIN))


def _write(
    picture_HW3: NDArray[np.uint8], says: str, top: int, *, left: int = _MARGIN, bold: bool = False
) -> None:
    pixels = round(_TEXT_SHARE * _line_height(picture_HW3.shape[1]))
    for shift, colour in ((1, _DARK), (0, _WHITE)):  # a shadow, for bright pictures
        place = (left + shift, top + shift)
        draw_text(picture_HW3, says, *place, pixels=pixels, colour=colour, bold=bold)


def _line_height(width: int) -> int:
    """Rows of a line of text, more where pictures are wide."""
    return round(_LINE * max(width / _USUAL_WIDTH, 1))


def _colour(label: int) -> _Colour:
    red, green, blue = class_colour(label)
    return int(red), int(green), int(blue)


def _widened(picture_HW3: NDArray[np.uint8]) -> NDArray[np.uint8]:
    missing = max(_LEAST_WIDTH - picture_HW3.shape[1], 0)
    sides = (missing // 2, missing - missing // 2)
    return np.pad(picture_HW3, ((0, 0), sides, (0, 0)), constant_values=_DARK[0])
