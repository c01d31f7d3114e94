"""The overlay video of `orn predict`: frames with their objects, the predicted class at each time,
and the most important pair of objects.

H W size of the picture.
"""

from bisect import bisect_right
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from textwrap import wrap

import cv2
import numpy as np
from numpy.typing import NDArray

from orn.prediction.prediction import (
    PredictedVideo,
    SegmentPrediction,
    explaining_window,
    moments_of,
)
from orn.shared.drawing.draw_frame import draw_text
from orn.shared.drawing.mp4 import write_film
from orn.shared.pages.palette import Color, activity_color
from orn.shared.text import truncate
from orn.shared.video.read import read_frames
from orn.stage2_train.parts.temperatures import meaning_of_percentages
from orn.stage2_train.report.draw_clip import draw_frame_of_clip
from orn.stage2_train.runs.trained import OpenedModel

_BARS = 3
"""Number of most probable classes that are shown."""
_LINE, _USUAL_WIDTH = 24, 800
"""Height of a line of text in pixels, up to the default width; wider pictures have larger text."""
_LETTER = 0.55
"""Mean width of a letter, as a share of its height."""
_TEXT_SHARE = 0.6
"""Font size relative to the height of a line."""
_MARGIN = 8
_DARK, _GRAY, _WHITE = (24, 24, 24), (110, 110, 110), (255, 255, 255)
_REACH_SECONDS = 1.0
"""Maximum distance in time at which a film shows an object of a pair, as dashes; later, the object
may have left its place."""


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
    video, windows = predicted.video, predicted.windows
    interval = predicted.detections.interval_seconds
    moments = list(moments_of(windows, multi_label=model.is_multi_label, threshold=threshold))
    starts = [moment.start_seconds for moment in moments]
    shown = dict.fromkeys(label for moment in moments for label in moment.labels)
    colors = {label: activity_color(index) for index, label in enumerate(shown)}
    fitted_on = model.temperatures.fitted_on
    note = [] if fitted_on else [meaning_of_percentages(fitted_on)]

    def pictures() -> Iterator[tuple[float, NDArray[np.uint8]]]:
        size: tuple[int, int] | None = None
        number = 0
        for frame in read_frames(video.path, rate=video.rate):
            moment = moments[max(bisect_right(starts, frame.seconds) - 1, 0)]
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
            pair = [] if window is None else window.clip.sentences(1)
            yield frame.seconds, _with_texts(picture, moment, colors, [*pair, *note])
            number += 1
            drawn(number)

    write_film(path, pictures())


def _with_texts(
    picture_HW3: NDArray[np.uint8],
    moment: SegmentPrediction,
    colors: Mapping[int, Color],
    texts: Sequence[str],
) -> NDArray[np.uint8]:
    """Return a picture below the predicted class, and above the most probable classes and texts."""
    width = picture_HW3.shape[1]
    line = round(_LINE * max(width / _USUAL_WIDTH, 1))
    likeliest = moment.likeliest()
    first = next((colors[label] for label in likeliest if label in moment.labels), _GRAY)
    header = 3 * line // 2
    above = np.full((header, width, 3), first, np.uint8)
    _write(above, moment.predicted_text(), header // 5, line=header)
    shown = likeliest[:_BARS]
    letters = int((width - 2 * _MARGIN) / (_LETTER * _TEXT_SHARE * line))
    texts = [row for text in texts for row in (*wrap(text, letters), "", "")[:2]]
    below = np.full((line * (len(shown) + len(texts) + 1), width, 3), _DARK, np.uint8)
    for row, label in enumerate(shown):
        top, bar = line // 3 + row * line, round(width * float(moment.probabilities[label]))
        cv2.rectangle(below, (0, top), (bar, top + line - 4), colors.get(label, _GRAY), -1)
        bold = label in moment.labels
        _write(below, moment.class_text([label]), top + 1, line=line, bold=bold)
    for row, text in enumerate(texts, start=len(shown)):
        _write(below, text, line // 3 + row * line, line=line)
    return np.concatenate([above, picture_HW3, below])


def _write(
    picture_HW3: NDArray[np.uint8], text: str, top: int, *, line: int, bold: bool = False
) -> None:
    """Write a line of text of a given height, with a shadow for bright backgrounds."""
    pixels, text = round(_TEXT_SHARE * line), truncate(text, 120)
    for shift, color in ((1, _DARK), (0, _WHITE)):
        corner = (_MARGIN + shift, top + shift)
        draw_text(picture_HW3, text, *corner, pixels=pixels, color=color, bold=bold)
