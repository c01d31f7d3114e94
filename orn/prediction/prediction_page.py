"""The offline page of `orn predict --html`: the probability of each class over time, and a card for
windows with the pairs that support their class."""

from collections.abc import Iterator, Mapping, Sequence, Set
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from orn.prediction.prediction_records import PredictedVideo, WindowPrediction, objects_at
from orn.shared.drawing.draw_frame import DrawnObjects
from orn.shared.errors import VideoDecodeError
from orn.shared.jobs.atomic_file import write_text
from orn.shared.jobs.plan import FailedVideo
from orn.shared.pages.palette import activity_color, css_color
from orn.shared.pages.render import Picture, fitted_page, render
from orn.shared.video.read import VideoReader
from orn.stage2_train.parts.temperatures import meaning_of_percentages
from orn.stage2_train.report.draw_clip import (
    FULL_DROP,
    draw_clip,
    frames_of_pair,
    spread,
    webp,
)
from orn.stage2_train.report.shown_clip import LEAST_DROP
from orn.stage2_train.runs.trained import OpenedModel

MOST_TEXT_BYTES = 5_000_000
"""Maximum size of the sections for videos; further videos are only counted."""
_CARDS, _OF_ONE_VIDEO = 48, 16
"""Maximum number of cards, in total (but at least one per video) and per video."""
_LISTED_CLASSES, _LISTED_PAIRS = 5, 3
_MOST_LANES = 12
"""Maximum number of predicted classes with a lane."""
_FONT_SHARE = 0.035
"""Font size relative to the height of a key frame, which the page scales down."""
_DASH = "\u2013"


@dataclass(slots=True, kw_only=True, eq=False)
class PredictionPage:
    """Page that collects the predictions for videos."""

    model: OpenedModel
    num_videos: int
    """Number of videos that will be added."""
    _videos: list[dict[str, Any]] = field(default_factory=list)
    _color_index: dict[str, int] = field(default_factory=dict)
    """Color index of each shown activity."""
    _text_bytes: int = 0
    _left_out: int = 0

    def add(self, predicted: PredictedVideo) -> None:
        """Add a video with its predictions.

        Raises:
            VideoDecodeError: if the video can no longer be decoded.
            ShardFormatError: if detections are damaged.
        """
        if self._is_full():
            return
        windows, key = predicted.windows, f"v{len(self._videos)}"
        start, stop = windows[0].start_seconds, windows[-1].stop_seconds
        changes = [
            index
            for index, window in enumerate(windows)
            if index == 0 or window.labels != windows[index - 1].labels
        ]
        most = min(max(_CARDS // self.num_videos, 1), _OF_ONE_VIDEO)
        shown = [changes[place] for place in spread(len(changes), most)]
        cards = [self._card(predicted, windows[index], f"{key}-{index}") for index in shown]
        texts = [windows[index].predicted_text(_LISTED_CLASSES) for index in changes[:3]]
        if len(changes) > 3:
            texts.append(f"{len(changes) - 3:,} more")
        lanes = self._lanes(windows, {index: f"{key}-{index}" for index in shown})
        self._append(
            {
                "key": key,
                "name": predicted.name,
                "length": f"{stop - start:.2f} s",
                "predicted": texts,
                "total": len(windows),
                "over_time": {"range": (start, stop), "lanes": list(lanes)},
                "cards": cards,
            }
        )

    def add_failed(self, failed: FailedVideo) -> None:
        """Add a video that failed, completely or partly."""
        if not self._is_full():
            texts = [f"failed: {failed.reason}"]
            self._append(
                {"key": "", "name": failed.id, "length": "", "predicted": texts, "cards": []}
            )

    def write(self, path: Path) -> None:
        """Write the page atomically."""

        def page(held: Set[str]) -> str:
            return render(
                "orn.prediction/prediction_page.html",
                model=self.model,
                title=self.model.path.resolve().name,
                videos=self._videos,
                data={video["key"]: video.get("over_time") for video in self._videos},
                left_out=self._left_out,
                meaning=meaning_of_percentages(self.model.temperatures.fitted_on),
                scale=(LEAST_DROP, FULL_DROP),
                held=held,
            )

        pictures = [card["picture"] for video in self._videos for card in video["cards"]]
        write_text(path, fitted_page(page, pictures, kind="predictions"))

    def _is_full(self) -> bool:
        """Return whether there is no room for a further video, which is then only counted."""
        is_full = self._text_bytes > MOST_TEXT_BYTES
        self._left_out += is_full
        return is_full

    def _append(self, video: dict[str, Any]) -> None:
        self._videos.append(video)
        self._text_bytes += len(str(video))

    def _card(
        self, predicted: PredictedVideo, window: WindowPrediction, key: str
    ) -> dict[str, Any]:
        """Return the texts and the picture of a window, with the explanation of its class."""
        clip = window.explained_clip
        card = {
            "key": key,
            "when": window.times(_DASH),
            "predicted": window.predicted_text(_LISTED_CLASSES),
            "chances": [
                (name, float(chance), self._color(name), f"{100 * chance:.0f} %")
                for label in window.likeliest()[:_LISTED_CLASSES]
                for name, chance in [(self.model.classes[label], window.probabilities[label])]
            ],
            "picture": _key_frame(self.model, predicted, window, key=key),
            "why": (why := clip.sentences(_LISTED_PAIRS)),
        }
        if why:
            card |= {"decided": clip.decided_text(), "detected": clip.detected_text()}
        return card

    def _lanes(
        self, windows: Sequence[WindowPrediction], keys: Mapping[int, str]
    ) -> Iterator[dict[str, Any]]:
        """Yield a row over time for each predicted class, as `lanesIn` in page.js shows it; its
        parts are the windows with a card, whose keys are given by index."""
        times = [round(window.start_seconds, 3) for window in windows]
        predicted = dict.fromkeys(label for window in windows for label in window.labels)
        for label in [*predicted][:_MOST_LANES]:
            yield {
                "name": self.model.classes[label],
                "color": self._color(self.model.classes[label]),
                "curve": {
                    "times": times,
                    "values": [round(float(own.probabilities[label]), 3) for own in windows],
                },
                "parts": [
                    {
                        "start": windows[index].start_seconds,
                        "stop": windows[index].stop_seconds,
                        "text": f"{100 * windows[index].probabilities[label]:.0f} %",
                        "address": key,
                    }
                    for index, key in keys.items()
                    if label in windows[index].labels
                ],
            }

    def _color(self, name: str) -> str:
        return css_color(activity_color(self._color_index.setdefault(name, len(self._color_index))))


def _key_frame(
    model: OpenedModel, predicted: PredictedVideo, window: WindowPrediction, *, key: str
) -> Picture:
    """Return the frame of a window that is nearest to its middle, among those with an object of the
    most important pair, if its class is predicted."""
    clip, video = window.explained_clip, predicted.video
    middle = (window.start_seconds + window.stop_seconds) / 2
    frames = frames_of_pair(clip) or range(len(window.frames))
    nearest = min(frames, key=lambda frame: abs(clip.seconds[frame] - middle))

    def scene(frame: int) -> tuple[NDArray[np.uint8], DrawnObjects]:
        reader = VideoReader(video.path, rate=video.rate, kept_bytes=0)
        read = reader.frame(window.frames[frame])
        if read is None:
            expected = f"frame {window.frames[frame]}"
            raise VideoDecodeError(where=video.path, expected=expected, remedy="run again")
        return read.image, objects_at(clip.seconds[frame], predicted.detections, model)

    names = model.detector_classes
    picture = draw_clip(clip, scene, names, frames=[nearest], font_share=_FONT_SHARE)
    alt = f"The frame at {clip.seconds[nearest]:.2f} s with the objects in it"
    return Picture(key=key, data=webp(picture), alt=alt, rank=0)
