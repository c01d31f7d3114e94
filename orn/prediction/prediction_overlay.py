"""The overlay video of `orn predict`: frames with their objects, and the activities at each time.

H W size of the picture.
"""

from bisect import bisect_right
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from textwrap import wrap

import cv2
import numpy as np
from numpy.typing import NDArray

from orn.data_manifests.records import Video
from orn.prediction.film_prediction import FilmPrediction
from orn.prediction.prediction_records import PredictedVideo, objects_at
from orn.shared.drawing.draw_frame import draw_text
from orn.shared.drawing.mp4 import write_film
from orn.shared.jobs.progress import Bar
from orn.shared.pages.palette import Color, activity_color
from orn.shared.shards.detection_folder import VideoDetections
from orn.shared.text import counted, truncate
from orn.shared.video.read import read_frames
from orn.stage2_train.parts.temperatures import meaning_of_percentages
from orn.stage2_train.report.draw_clip import draw_frame_of_clip
from orn.stage2_train.report.shown_clip import ShownClip
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


@dataclass(frozen=True, slots=True, kw_only=True)
class _Bar:
    """A class with its probability."""

    text: str
    chance: float
    """0..1."""
    color: Color
    is_predicted: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class _Caption:
    """What is shown of the prediction at a time; of as many lines at all times of a video."""

    predicted: str
    """Text above the frame."""
    color: Color
    """Its background."""
    bars: Sequence[_Bar]
    """Below the frame."""
    texts: Sequence[str]
    """Below the bars."""
    clip: ShownClip | None
    """Clip with the pair that is drawn; None for no pair."""


def draw_windows(
    path: Path,
    model: OpenedModel,
    predicted: PredictedVideo,
    bar: Bar,
) -> None:
    """Write the overlay video of windows atomically: the predicted class of the window at each
    time, and its most important pair of objects.

    Args:
        path: MP4 file to write.
        model: model that made the predictions.
        predicted: the video.
        bar: its note becomes the number of drawn frames.

    Raises:
        VideoDecodeError: if the video can no longer be decoded, or its times are too far apart.
        ShardFormatError: if detections are damaged.
    """
    windows, interval = predicted.windows, predicted.detections.interval_seconds
    starts = [window.start_seconds for window in windows]
    shown = dict.fromkeys(label for window in windows for label in window.labels)
    colors = {label: activity_color(index) for index, label in enumerate(shown)}
    note = _note(model)

    def caption(seconds: float) -> _Caption | None:
        window = windows[max(bisect_right(starts, seconds) - 1, 0)]
        start, stop = window.start_seconds - interval, window.stop_seconds + interval
        if not start < seconds < stop:
            return None  # a part of the video in which no objects were detected
        likeliest, clip = window.likeliest(), window.explained_clip
        pair = (clip.sentences(1) or [""]) if model.relates_pairs else []
        return _Caption(
            predicted=window.predicted_text(),
            color=next((colors[label] for label in likeliest if label in window.labels), _GRAY),
            bars=[
                _Bar(
                    text=window.class_text([label]),
                    chance=float(window.probabilities[label]),
                    color=colors.get(label, _GRAY),
                    is_predicted=label in window.labels,
                )
                for label in likeliest[:_BARS]
            ],
            texts=[*pair, *note],
            clip=clip,
        )

    _draw(path, model, predicted.video, predicted.detections, caption, bar)


def draw_intervals(
    path: Path,
    model: OpenedModel,
    video: Video,
    film: FilmPrediction,
    detections: VideoDetections,
    bar: Bar,
) -> None:
    """Write the overlay video of a long video atomically: the intervals that hold at each time,
    and the most probable outputs.

    Args:
        path: MP4 file to write.
        model: model that found the intervals.
        video: the video.
        film: its intervals.
        detections: its objects.
        bar: its note becomes the number of drawn frames.

    Raises:
        VideoDecodeError: if the video can no longer be decoded, or its times are too far apart.
        ShardFormatError: if detections are damaged.
    """
    shown = dict.fromkeys(own.activity for own in film.intervals)
    colors = {activity: activity_color(index) for index, activity in enumerate(shown)}
    note = _note(model)
    borders = (film.seconds[:-1] + film.seconds[1:]) / 2  # as found intervals have

    def caption(seconds: float) -> _Caption:
        holding = [own for own in film.intervals if own.start <= seconds < own.stop]
        held = {own.activity for own in holding}
        chances_A = film.probabilities[np.searchsorted(borders, seconds, side="right")]
        names = (_percent(film.classes[own.activity], own.probability) for own in holding)
        return _Caption(
            predicted=", ".join(names) or "-",
            color=colors[holding[0].activity] if holding else _GRAY,
            bars=[
                _Bar(
                    text=_percent(model.classes[label], chances_A[label]),
                    chance=float(chances_A[label]),
                    color=colors.get(label, _GRAY),
                    is_predicted=label in held,
                )
                for label in np.argsort(-chances_A, kind="stable")[:_BARS].tolist()
            ],
            texts=note,
            clip=None,
        )

    _draw(path, model, video, detections, caption, bar)


def _percent(name: str, chance: float) -> str:
    return f"{name} {100 * chance:.0f} %"


def _note(model: OpenedModel) -> list[str]:
    """Return a sentence if percentages are not probabilities."""
    fitted_on = model.temperatures.fitted_on
    return [] if fitted_on else [meaning_of_percentages(fitted_on)]


def _draw(
    path: Path,
    model: OpenedModel,
    video: Video,
    detections: VideoDetections,
    caption: Callable[[float], _Caption | None],
    bar: Bar,
) -> None:
    """Write a video with the objects and the caption of each time; without times that have none."""

    def pictures() -> Iterator[tuple[float, NDArray[np.uint8]]]:
        size: tuple[int, int] | None = None
        number = 0
        for frame in read_frames(video.path, rate=video.rate):
            shown = caption(frame.seconds)
            if shown is None:
                continue
            picture = draw_frame_of_clip(
                frame.image,
                objects_at(frame.seconds, detections, model),
                model.detector_classes,
                clip=shown.clip,
                seconds=frame.seconds,
                reach_seconds=_REACH_SECONDS,
                caption=f"frame {frame.index}, {frame.seconds:.3f} s",
                size=size,
            )
            size = picture.shape[1], picture.shape[0]
            yield frame.seconds, _with_texts(picture, shown)
            number += 1
            bar.advance(0, note=f"{counted(number, 'frame')} drawn")

    write_film(path, pictures())


def _with_texts(picture_HW3: NDArray[np.uint8], caption: _Caption) -> NDArray[np.uint8]:
    """Return a picture below the predicted classes, and above the bars and texts."""
    width = picture_HW3.shape[1]
    line = round(_LINE * max(width / _USUAL_WIDTH, 1))
    header = 3 * line // 2
    above = np.full((header, width, 3), caption.color, np.uint8)
    _write(above, caption.predicted, header // 5, line=header)
    letters = int((width - 2 * _MARGIN) / (_LETTER * _TEXT_SHARE * line))
    texts = [row for text in caption.texts for row in (*wrap(text, letters), "", "")[:2]]
    below = np.full((line * (len(caption.bars) + len(texts) + 1), width, 3), _DARK, np.uint8)
    for row, bar in enumerate(caption.bars):
        top, stop = line // 3 + row * line, round(width * bar.chance)
        cv2.rectangle(below, (0, top), (stop, top + line - 4), bar.color, -1)
        _write(below, bar.text, top + 1, line=line, bold=bar.is_predicted)
    for row, text in enumerate(texts, start=len(caption.bars)):
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
