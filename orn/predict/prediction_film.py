"""The overlay video of `orn predict`: frames with their objects, the predicted class at each time,
and the most important pair of objects.

H W size of the picture.
"""

from bisect import bisect_right
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray

from orn.data_manifests.records import Video
from orn.predict.prediction import SegmentPrediction, WindowPrediction
from orn.predict.windows import explaining_window, moments_of
from orn.shared.drawing.draw_frame import DrawnObjects, draw_text, text_size
from orn.shared.drawing.film import write_film
from orn.shared.errors import JoinError
from orn.shared.pages.palette import Color, activity_color
from orn.shared.shards.detection_folder import VideoDetections
from orn.shared.text import truncate
from orn.shared.video.read import read_frames
from orn.stage2_train.explanation.draw_clip import draw_frame_of_clip
from orn.stage2_train.parts.temperatures import meaning_of_percentages
from orn.stage2_train.runs.trained import OpenedModel

_BARS = 3
"""Number of most probable classes that are shown."""
_LINE, _HEADER = 24, 36
"""Height of a line of text and of a line of the header in pixels, up to the default width."""
_TEXT_SHARE = 0.6
"""Font size relative to the height of a line."""
_USUAL_WIDTH = 800
_LEAST_WIDTH = 480
"""Minimum width; narrower pictures are padded, so that the text fits."""
_MARGIN = 8
_DARK, _GRAY, _WHITE = (24, 24, 24), (110, 110, 110), (255, 255, 255)
_REACH_SECONDS = 1.0
"""Maximum distance in time at which a film shows an object of a pair, as dashes; later, the object
may have left its place."""


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class PredictedVideo:
    """A video with all of its predictions."""

    name: str
    """Name of the video as given by the user."""
    video: Video
    detections: VideoDetections
    """Objects in its frames."""
    windows: list[WindowPrediction] = field(default_factory=list)
    """Its windows, sorted by start, with pairs if the network relates objects."""
    segments: list[SegmentPrediction] = field(default_factory=list)
    """The stretches of these windows."""

    def objects_at(self, seconds: float, model: OpenedModel) -> DrawnObjects:
        """Return the objects at a time; none if no frame with detections is near.

        Raises:
            ShardFormatError: if detections are damaged.
        """
        try:
            (row,) = self.detections.nearest_rows([seconds]).tolist()
        except JoinError:
            return DrawnObjects.none()
        threshold = model.config.recipe.data.score_threshold
        return DrawnObjects.of(self.detections.frame(row), score_threshold=threshold)


def draw_prediction(
    path: Path,
    model: OpenedModel,
    predicted: PredictedVideo,
    *,
    threshold: float = 0.5,
    drawn: Callable[[int], None] = lambda num_pictures: None,
) -> None:
    """Write the overlay video atomically.

    Args:
        path: MP4 file to write.
        model: model that made the predictions.
        predicted: the video.
        threshold: minimum probability for a multi-label network to predict a class.
        drawn: called with the number of drawn frames after each frame.

    Raises:
        VideoDecodeError: if the video can no longer be decoded, or its times are too far apart.
        ShardFormatError: if detections are damaged.
    """
    video, detections = predicted.video, predicted.detections
    windows = predicted.windows
    moments = list(moments_of(windows, multi_label=model.is_multi_label, threshold=threshold))
    shown = [model.classes[label] for moment in moments for label in moment.labels]
    names = dict.fromkeys(shown)
    fitted_on = model.temperatures.fitted_on
    note = "" if fitted_on else meaning_of_percentages(fitted_on)
    panel = _Panel(model.classes, moments, {name: at for at, name in enumerate(names)}, note)

    def pictures() -> Iterator[tuple[float, NDArray[np.uint8]]]:
        size: tuple[int, int] | None = None
        number, interval = 0, detections.interval_seconds
        for frame in read_frames(video.path, rate=video.rate):
            moment = panel.moment_at(frame.seconds)
            start, stop = moment.start_seconds - interval, moment.stop_seconds + interval
            if not start < frame.seconds < stop:
                continue  # a part of the video in which no objects were detected
            window = explaining_window(windows, moment)
            picture = draw_frame_of_clip(
                frame.image,
                predicted.objects_at(frame.seconds, model),
                model.detector_classes,
                clip=None if window is None else window.clip,
                seconds=frame.seconds,
                reach_seconds=_REACH_SECONDS,
                caption=f"frame {frame.index}, {frame.seconds:.3f} s",
                size=size,
            )
            size = picture.shape[1], picture.shape[0]
            picture = _widened(picture)
            width = picture.shape[1]
            above = panel.above(width, moment)
            below = panel.below(width, moment, window, frame.seconds)
            yield frame.seconds, np.concatenate([above, picture, below])
            number += 1
            drawn(number)

    write_film(path, pictures())


@dataclass(frozen=True, slots=True)
class _Panel:
    """The predicted class above the pictures, and the panel below them."""

    classes: Sequence[str]
    moments: Sequence[SegmentPrediction]
    color_index: dict[str, int]
    """Color index of each predicted class."""
    note: str
    """Sentence at the bottom; empty for none."""

    def moment_at(self, seconds: float) -> SegmentPrediction:
        """Return the prediction at a time."""
        starts = [moment.start_seconds for moment in self.moments]
        return self.moments[max(bisect_right(starts, seconds) - 1, 0)]

    def above(self, width: int, moment: SegmentPrediction) -> NDArray[np.uint8]:
        """Return an (H, W, 3) header with the predicted class."""
        height = _scaled(_HEADER, width)
        header = np.zeros((height, width, 3), np.uint8)
        header[:] = self._shade(moment)
        _write(
            header, moment.predicted_text(), round((1 - _TEXT_SHARE) / 2 * height), height=height
        )
        return header

    def below(
        self,
        width: int,
        moment: SegmentPrediction,
        window: WindowPrediction | None,
        seconds: float,
    ) -> NDArray[np.uint8]:
        """Return an (H, W, 3) panel: most probable classes, the pair as text, classes over time,
        the note."""
        line, shown = _scaled(_LINE, width), moment.likeliest()[:_BARS]
        gap, rows = line // 3, len(shown) + 1
        height = gap + line * (rows + 1 + bool(self.note))
        panel = np.full((height, width, 3), _DARK, np.uint8)
        for index, label in enumerate(shown):
            top = gap + index * line
            bar = round((width - _MARGIN) * float(moment.probabilities[label]))
            color = self._color(self.classes[label])
            cv2.rectangle(panel, (0, top), (bar, top + line - 4), color, -1)
            text, is_predicted = moment.class_text([label]), label in moment.labels
            _write(panel, text, top + 1, height=line, bold=is_predicted)
        for text in [] if window is None else window.clip.sentences(1):
            _write(panel, text, gap + line * (rows - 1), height=line)
        self._draw_times(panel[gap + rows * line :], line, seconds)
        _write(panel, self.note, gap + line * (rows + 1), height=line)
        return panel

    def _draw_times(self, panel: NDArray[np.uint8], line: int, seconds: float) -> None:
        """Draw the predicted classes over time, fainter if less probable."""
        first, last = self.moments[0].start_seconds, self.moments[-1].stop_seconds
        left = 2 * _MARGIN + text_size("predicted", round(_TEXT_SHARE * line))[0]
        width = panel.shape[1] - left - _MARGIN

        def column(at: float) -> int:
            share = min(max((at - first) / max(last - first, 1e-9), 0.0), 1.0)
            return left + round(share * width)

        for moment in self.moments:
            columns = slice(column(moment.start_seconds), column(moment.stop_seconds) + 1)
            panel[2 : line - 2, columns] = self._shade(moment)
        panel[:, column(seconds) : column(seconds) + 2] = _WHITE
        _write(panel, "predicted", 3, height=line)

    def _shade(self, moment: SegmentPrediction) -> Color:
        """Return the color of the predicted class, darker if it is less probable."""
        if not moment.labels:
            return _GRAY
        label = max(moment.labels, key=lambda label: float(moment.probabilities[label]))
        share = float(moment.probabilities[label])
        red, green, blue = (
            round(dark + share * (bright - dark))
            for dark, bright in zip(_DARK, self._color(self.classes[label]), strict=True)
        )
        return red, green, blue

    def _color(self, name: str) -> Color:
        return activity_color(self.color_index[name]) if name in self.color_index else _GRAY


def _write(
    picture_HW3: NDArray[np.uint8], text: str, top: int, *, height: int, bold: bool = False
) -> None:
    """Write a line of text of a given height, with a shadow for bright backgrounds."""
    pixels, text = round(_TEXT_SHARE * height), truncate(text, 120)
    for shift, color in ((1, _DARK), (0, _WHITE)):
        corner = (_MARGIN + shift, top + shift)
        draw_text(picture_HW3, text, *corner, pixels=pixels, color=color, bold=bold)


def _scaled(pixels: int, width: int) -> int:
    """Return a height in pixels that grows with the width of the picture."""
    return round(pixels * max(width / _USUAL_WIDTH, 1))


def _widened(picture_HW3: NDArray[np.uint8]) -> NDArray[np.uint8]:
    missing = max(_LEAST_WIDTH - picture_HW3.shape[1], 0)
    sides = (missing // 2, missing - missing // 2)
    return np.pad(picture_HW3, ((0, 0), sides, (0, 0)), constant_values=_DARK[0])
