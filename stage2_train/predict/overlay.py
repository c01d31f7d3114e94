"""Overlay video: a video with its objects, the predicted class at each time, the true class where
it is known, and the most important pair of objects.

H W size of the picture, A activity classes.
"""

from bisect import bisect_right
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray

from orn.shared.drawing.film import write_film
from orn.shared.drawing.frame import DrawnObjects, draw_frame
from orn.shared.drawing.text import draw_text, text_size
from orn.shared.errors import JoinError
from orn.shared.manifests.records import Video
from orn.shared.pages.palette import Colour, activity_colour
from orn.shared.shards.reader import VideoDetections
from orn.shared.text import truncate
from orn.shared.video.read import read_frames
from orn.stage2_train.explanation.importance import Clique
from orn.stage2_train.explanation.scale import LEAST_DROP, line_width, matters
from orn.stage2_train.predict.records import SegmentPrediction, WindowPrediction
from orn.stage2_train.predict.truth import TrueSegment, names_at
from orn.stage2_train.predict.windows import moments_of
from orn.stage2_train.runs.trained import OpenedModel

_BARS = 3
"""Number of most probable classes that are shown."""
_LINE = 24
"""Height of a line of text in pixels, for pictures up to the default width."""
_TEXT_SHARE = 0.6
"""Font size relative to the height of a line."""
_LARGE = 1.7
"""Height of the predicted class, in lines."""
_USUAL_WIDTH = 800
_LEAST_WIDTH = 480
"""Minimum width; narrower pictures are padded, so that the text fits."""
_MARGIN = 8
_DARK, _GREY, _WHITE = (24, 24, 24), (110, 110, 110), (255, 255, 255)


def draw_prediction(
    path: Path,
    model: OpenedModel,
    video: Video,
    detections: VideoDetections,
    windows: Sequence[WindowPrediction],
    *,
    threshold: float = 0.5,
    truth: Sequence[TrueSegment] = (),
    drawn: Callable[[int], None] = lambda num_pictures: None,
) -> int:
    """Write the overlay video atomically, and return its number of frames.

    Args:
        path: MP4 file to write.
        model: model that made the predictions.
        video: the video.
        detections: objects in its frames.
        windows: all predictions for the video, sorted by start; pairs are drawn if present.
        threshold: minimum probability for a multi-label network to predict a class.
        truth: labelled segments of the video.
        drawn: called with the number of drawn frames after each frame.

    Raises:
        VideoDecodeError: if the video can no longer be decoded, or its times are too far apart.
        ShardFormatError: if detections are damaged.
    """
    least_score = model.config.recipe.data.score_threshold
    moments = list(moments_of(windows, multi_label=model.is_multi_label, threshold=threshold))
    predicted = [model.classes[label] for each in moments for label in each.labels]
    names = dict.fromkeys([*predicted, *(name for each in truth for name in each.names)])
    places = {name: place for place, name in enumerate(names)}
    explains = any(each.pairs is not None for each in windows)
    panel = _Panel(model.classes, moments, truth, places, explains)

    def pictures() -> Iterator[tuple[float, NDArray[np.uint8]]]:
        size: tuple[int, int] | None = None
        number = 0
        for frame in read_frames(video.path, rate=video.rate):
            try:
                row = int(detections.nearest_rows([frame.seconds])[0])
            except JoinError:  # a frame without detections
                continue
            picture = draw_frame(
                frame.image,
                DrawnObjects.of(detections.frame(row), score_threshold=least_score),
                class_names=model.detector_classes,
                caption=f"frame {frame.index}, {frame.seconds:.3f} s",
                size=size,
            )
            size = picture.shape[1], picture.shape[0]
            moment = panel.moment_at(frame.seconds)
            pair = _pair_of(windows, moment, frame.seconds)
            if pair is not None:
                grid = (detections.video.width, detections.video.height)
                _draw_pair(picture, *pair, frame.seconds, grid)
            picture = _widened(picture)
            panel.name_class(picture, moment, frame.seconds)
            below = panel.below(picture.shape[1], moment, pair, frame.seconds)
            yield frame.seconds, np.concatenate([picture, below])
            number += 1
            drawn(number)

    return write_film(path, pictures())


def _pair_of(
    windows: Sequence[WindowPrediction], moment: SegmentPrediction, seconds: float
) -> tuple[WindowPrediction, Clique] | None:
    """Return the strongest pair in the nearest window that predicts the current class.

    The result is None if the logit drop of the pair is too small to be shown.
    """
    own = [each for each in windows if each.label in moment.labels]
    window = min(own, key=lambda each: abs(each.middle - seconds), default=None)
    if window is None or not window.pairs or not matters(window.pairs[0].logit_drop):
        return None
    return window, window.pairs[0]


def _draw_pair(
    picture_HW3: NDArray[np.uint8],
    window: WindowPrediction,
    pair: Clique,
    seconds: float,
    grid: tuple[int, int],
) -> None:
    """Draw the boxes of a pair, thicker if nearer in time, and a line for the logit drop.

    Boxes are in pixels of a grid of any size, given as (width, height).
    """
    centres = []
    across = picture_HW3.shape[1] / grid[0]
    down = picture_HW3.shape[0] / grid[1]
    distances = [abs(window.seconds[frame] - seconds) for frame in pair.frames]
    for frame, place, distance in zip(pair.frames, pair.objects, distances, strict=True):
        box = np.array(window.objects[frame][place].box) * (across, down, across, down)
        x1, y1, x2, y2 = box.round().astype(int).tolist()
        is_near = distance == min(distances)
        cv2.rectangle(picture_HW3, (x1, y1), (x2, y2), _WHITE, 4 if is_near else 1, cv2.LINE_AA)
        centres.append(((x1 + x2) // 2, (y1 + y2) // 2))
    for here, there in pairwise(centres):
        width = line_width(pair.logit_drop, picture_HW3.shape[0])
        cv2.line(picture_HW3, here, there, _WHITE, width, cv2.LINE_AA)


@dataclass(frozen=True, slots=True)
class _Panel:
    """Text on the pictures and the panel below them."""

    classes: Sequence[str]
    moments: Sequence[SegmentPrediction]
    truth: Sequence[TrueSegment]
    places: dict[str, int]
    """Color index of each predicted or true class."""
    explains: bool
    """Whether the predictions are explained by pairs."""

    def moment_at(self, seconds: float) -> SegmentPrediction:
        """Return the prediction at a time."""
        starts = [each.start_seconds for each in self.moments]
        return self.moments[max(bisect_right(starts, seconds) - 1, 0)]

    def name_class(
        self, picture_HW3: NDArray[np.uint8], moment: SegmentPrediction, seconds: float
    ) -> None:
        """Write the predicted class on the picture, and the true class next to it."""
        right, bottom = _tag(picture_HW3, moment.predicted_text(), (0, 0), self._colour(moment))
        true = names_at(self.truth, seconds)
        if true:
            is_right = {self.classes[each] for each in moment.labels} == set(true)
            text = f"{'right' if is_right else 'true'}: {', '.join(true)}"
            wide, _ = text_size(truncate(text, 80), _large_pixels(picture_HW3.shape[1]))
            fits = right + wide + 2 * _MARGIN <= picture_HW3.shape[1]
            _tag(picture_HW3, text, (right, 0) if fits else (0, bottom), _DARK)

    def below(
        self,
        width: int,
        moment: SegmentPrediction,
        pair: tuple[WindowPrediction, Clique] | None,
        seconds: float,
    ) -> NDArray[np.uint8]:
        """Return an (H, W, 3) panel: most probable classes, the pair as text, classes over time."""
        line = _line_height(width)
        shown = moment.likeliest()[:_BARS]
        rows = len(shown) + 1
        found = np.full((line * (rows + (2 if self.truth else 1)), width, 3), _DARK, np.uint8)
        for place, label in enumerate(shown):
            top = place * line
            bar = round((width - 2 * _MARGIN) * float(moment.probabilities[label]))
            corner = (_MARGIN + bar, top + line - 1)
            cv2.rectangle(
                found, (_MARGIN, top + line - 4), corner, self._named(self.classes[label]), -1
            )
            _write(found, moment.class_text([label]), top, bold=label in moment.labels)
        if pair is not None:
            window, strongest = pair
            text = f"without {window.pair_text(strongest)}: logit {-strongest.logit_drop:+.2f}"
            _write(found, text, line * (rows - 1))
        elif self.explains:
            text = f"no pair supports this prediction by more than {LEAST_DROP}"
            _write(found, text, line * (rows - 1))
        first, last = self.moments[0].start_seconds, self.moments[-1].stop_seconds

        def column(at: float) -> int:
            share = min(max((at - first) / max(last - first, 1e-9), 0.0), 1.0)
            return _MARGIN + round(share * (width - 2 * _MARGIN))

        def draw(start: float, stop: float, row: int, colour: Colour) -> None:
            corners = (column(start), row * line + 2), (column(stop), (row + 1) * line - 2)
            cv2.rectangle(found, *corners, colour, -1)

        for each in self.moments:
            draw(each.start_seconds, each.stop_seconds, rows, self._colour(each))
        for true in self.truth:
            start, stop = max(true.times.start, first), min(true.times.stop, last)
            draw(start, stop, rows + 1, self._named(true.names[0]))
        cursor = column(seconds)
        cv2.line(found, (cursor, rows * line), (cursor, len(found)), _WHITE, 2)
        for row, text in enumerate(("predicted", "true")[: 2 if self.truth else 1]):
            _write(found, text, (rows + row) * line)
        return found

    def _colour(self, moment: SegmentPrediction) -> Colour:
        return self._named(self.classes[moment.labels[0]]) if moment.labels else _GREY

    def _named(self, name: str) -> Colour:
        return activity_colour(self.places[name]) if name in self.places else _GREY


def _tag(
    picture_HW3: NDArray[np.uint8], text: str, place: tuple[int, int], colour: Colour
) -> tuple[int, int]:
    """Write large text on a colored background at (left, top); return its right and lower edge."""
    pixels, (left, top) = _large_pixels(picture_HW3.shape[1]), place
    text = truncate(text, 80)
    wide, tall = text_size(text, pixels)
    right, bottom = left + wide + 2 * _MARGIN, top + tall + _MARGIN
    picture_HW3[top:bottom, left:right] = colour
    where = (left + _MARGIN, top + _MARGIN // 2)
    draw_text(picture_HW3, text, *where, pixels=pixels, colour=_WHITE)
    return right, bottom


def _write(picture_HW3: NDArray[np.uint8], text: str, top: int, *, bold: bool = False) -> None:
    pixels = round(_TEXT_SHARE * _line_height(picture_HW3.shape[1]))
    for shift, colour in ((1, _DARK), (0, _WHITE)):  # a shadow, for bright pictures
        place = (_MARGIN + shift, top + shift)
        draw_text(picture_HW3, text, *place, pixels=pixels, colour=colour, bold=bold)


def _line_height(width: int) -> int:
    """Return the height of a line of text in pixels, which grows with the width."""
    return round(_LINE * max(width / _USUAL_WIDTH, 1))


def _large_pixels(width: int) -> int:
    return round(_LARGE * _TEXT_SHARE * _line_height(width))


def _widened(picture_HW3: NDArray[np.uint8]) -> NDArray[np.uint8]:
    missing = max(_LEAST_WIDTH - picture_HW3.shape[1], 0)
    sides = (missing // 2, missing - missing // 2)
    return np.pad(picture_HW3, ((0, 0), sides, (0, 0)), constant_values=_DARK[0])
