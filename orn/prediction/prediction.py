"""Predictions as records and as JSON objects, and the segments that merge those of overlapping
windows.

A activity classes.
"""

import math
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from itertools import chain
from typing import Any

import numpy as np
from numpy.typing import NDArray

from orn.data_manifests.records import Video
from orn.shared.drawing.draw_frame import DrawnObjects
from orn.shared.errors import JoinError
from orn.shared.shards.detection_folder import VideoDetections
from orn.shared.text import truncate
from orn.stage2_train.report.importance import Pair
from orn.stage2_train.report.shown_clip import ShownClip
from orn.stage2_train.runs.predictions import probabilities
from orn.stage2_train.runs.trained import OpenedModel

_DIGITS = 6
_SAME_SECONDS = 1e-6


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class _Part:
    """A part of a video with its prediction."""

    video: str
    """Id of the video."""
    classes: tuple[str, ...]
    """Names of the A activities."""
    start_seconds: float
    stop_seconds: float
    """End of the part, exclusive."""
    logits: Mapping[str, NDArray[np.float32]]
    """(A,) logits by the name of the head in `orn eval`; the prediction comes first."""
    probabilities: NDArray[np.float32]
    """(A,) softmax of the prediction, or its sigmoid for multiple labels."""

    @property
    def middle(self) -> float:
        """Middle of the part in seconds."""
        return (self.start_seconds + self.stop_seconds) / 2

    def times(self, dash: str = "-") -> str:
        """Return the start and end as text, such as `1.00 - 2.50 s`."""
        return f"{self.start_seconds:.2f} {dash} {self.stop_seconds:.2f} s"

    def likeliest(self) -> list[int]:
        """Return all classes by decreasing probability."""
        return np.argsort(-self.probabilities, kind="stable").tolist()

    def class_text(self, labels: Iterable[int]) -> str:
        """Return classes with their probabilities, such as `pour 81 %, stir 12 %`."""
        return ", ".join(
            f"{self.classes[label]} {100 * self.probabilities[label]:.0f} %" for label in labels
        )

    def _as_json(self, kind: str) -> dict[str, Any]:
        return {
            "kind": kind,
            "video": self.video,
            "start": round(self.start_seconds, _DIGITS),
            "end": round(self.stop_seconds, _DIGITS),
            "classes": {
                self.classes[label]: round(float(self.probabilities[label]), _DIGITS)
                for label in self.likeliest()
            },
            "logits": {
                name: [float(logit) for logit in logits_A] for name, logits_A in self.logits.items()
            },
        }


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class WindowPrediction(_Part):
    """Prediction for a window of a video, or for the whole video."""

    frames: tuple[int, ...]
    """Indices of the T frames that the network read, from 0."""
    clip: ShownClip
    """Times and objects of these frames; the most important pairs of objects, if requested."""

    def __repr__(self) -> str:
        objects, pairs = sum(map(len, self.clip.objects)), len(self.clip.pairs or ())
        predicted = repr(truncate(self.class_text([self.label])))
        seen = f"{len(self.frames)} frames, {objects} objects, {pairs} pairs"
        return f"<WindowPrediction {self.video!r} {self.times()}: {predicted}; {seen}>"

    @property
    def label(self) -> int:
        """Class with the highest logit."""
        return int(next(iter(self.logits.values())).argmax())

    def as_json(self, *, most_pairs: int | None = None) -> dict[str, Any]:
        """Return the prediction as printed by `orn predict --json`."""
        clip = self.clip
        record = self._as_json("window") | {
            "frames": list(self.frames),
            "seconds": [round(seconds, _DIGITS) for seconds in clip.seconds],
            "label": self.classes[self.label],
            "objects": [[value.as_json() for value in frame] for frame in clip.objects],
        }
        if clip.pairs is not None and most_pairs != 0:
            record["decided_by"] = None if clip.decided_by is None else [*clip.decided_by]
            record["pairs"] = [self._pair(pair) for pair in clip.pairs[:most_pairs]]
        return record

    def _pair(self, pair: Pair) -> dict[str, Any]:
        members = [
            {"frame": self.frames[frame], "second": round(second, _DIGITS), **seen.as_json()}
            for frame, (seen, second) in zip(pair.frames, self.clip.members(pair), strict=True)
        ]
        return {"logit_drop": round(pair.logit_drop, _DIGITS), "objects": members}


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class SegmentPrediction(_Part):
    """A segment of a video with a constant prediction; its logits are averaged over time."""

    labels: tuple[int, ...]
    """Predicted class; for multiple labels, all predicted classes, possibly none."""
    windows: int
    """Maximum number of windows that overlap at any time."""

    def predicted_text(self, most: int | None = None) -> str:
        """Return the predicted classes with probabilities, the most probable first."""
        holds = [label for label in self.likeliest() if label in self.labels]
        return self.class_text(holds[:most]) or "none"

    def runners_up_text(self) -> str:
        """Return the two most probable other classes with probabilities."""
        others = [label for label in self.likeliest() if label not in self.labels]
        return self.class_text(others[:2])

    def can_be_joined(self, later: "SegmentPrediction") -> bool:
        """Return whether `later` starts where this segment ends, with the same classes."""
        is_next = abs(later.start_seconds - self.stop_seconds) <= _SAME_SECONDS
        return is_next and later.labels == self.labels

    def joined(self, later: "SegmentPrediction", *, multi_label: bool) -> "SegmentPrediction":
        """Return both segments as one."""
        here = self.stop_seconds - self.start_seconds
        there = later.stop_seconds - later.start_seconds
        share = there / (here + there)
        logits = {
            name: own_A + np.float32(share) * (later.logits[name] - own_A)
            for name, own_A in self.logits.items()
        }
        return replace(
            self,
            stop_seconds=later.stop_seconds,
            logits=logits,
            probabilities=probabilities(next(iter(logits.values())), multi_label=multi_label),
            windows=max(self.windows, later.windows),
        )

    def as_json(self, *, most_pairs: int | None = None) -> dict[str, Any]:
        """Return the segment as printed by `orn predict --json`; it has no pairs."""
        labels = [self.classes[label] for label in self.labels]
        return self._as_json("segment") | {"labels": labels, "windows": self.windows}


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


def windows_and_segments(
    windows: Iterable[WindowPrediction], *, multi_label: bool = False, threshold: float = 0.5
) -> Iterator[WindowPrediction | SegmentPrediction]:
    """Yield the windows of a video, and the resulting segments.

    The logits at any time are the mean over the windows that cover it. Adjacent moments with the
    same classes are merged into a segment, which is yielded as soon as no later window can change
    it.

    Args:
        windows: windows sorted by start.
        multi_label: whether any number of classes can be predicted together.
        threshold: minimum probability for a multi-label network to predict a class.
    """
    pending: SegmentPrediction | None = None
    for moment in _with_moments(windows, multi_label, threshold):
        if isinstance(moment, WindowPrediction):
            yield moment
        elif pending is not None and pending.can_be_joined(moment):
            pending = pending.joined(moment, multi_label=multi_label)
        else:
            if pending is not None:
                yield pending
            pending = moment
    if pending is not None:
        yield pending


def moments_of(
    windows: Iterable[WindowPrediction], *, multi_label: bool = False, threshold: float = 0.5
) -> Iterator[SegmentPrediction]:
    """Yield the moments before merging: one between any two consecutive window borders."""
    merged = _with_moments(windows, multi_label, threshold)
    return (record for record in merged if isinstance(record, SegmentPrediction))


def explaining_window(
    windows: Iterable[WindowPrediction], part: SegmentPrediction
) -> WindowPrediction | None:
    """Return the window that overlaps a part of a video, predicts one of the part's classes, and is
    nearest to its middle; None if there is none."""
    start, stop = part.start_seconds, part.stop_seconds
    own = [
        window
        for window in windows
        if window.label in part.labels
        and (window.start_seconds < stop or start == stop)  # equal in a video with one frame
        and (window.stop_seconds > start or start == stop)
    ]
    return min(own, key=lambda window: abs(window.middle - part.middle), default=None)


def _with_moments(
    windows: Iterable[WindowPrediction], multi_label: bool, threshold: float
) -> Iterator[WindowPrediction | SegmentPrediction]:
    """Yield each window, followed by the moments that end at or before its start."""
    covering: list[WindowPrediction] = []
    cursor = 0.0
    for window in chain(windows, (None,)):
        until = math.inf if window is None else window.start_seconds
        if window is not None:
            yield window
        while covering and cursor < until:
            border = min(until, *(earlier.stop_seconds for earlier in covering))
            is_instant = covering[0].stop_seconds == covering[0].start_seconds  # of one frame
            if border - cursor > _SAME_SECONDS or is_instant:
                yield _mean_of(covering, (cursor, border), multi_label, threshold)
            cursor = max(cursor, border)
            covering = [earlier for earlier in covering if earlier.stop_seconds > cursor]
        if window is not None:
            cursor = until
            covering.append(window)


def _mean_of(
    covering: Sequence[WindowPrediction],
    times: tuple[float, float],
    multi_label: bool,
    threshold: float,
) -> SegmentPrediction:
    first = covering[0]
    logits = {
        name: np.mean([window.logits[name] for window in covering], axis=0) for name in first.logits
    }
    total_A = next(iter(logits.values()))
    chances_A = probabilities(total_A, multi_label=multi_label)
    holds = np.flatnonzero(chances_A >= threshold).tolist()
    return SegmentPrediction(
        video=first.video,
        classes=first.classes,
        start_seconds=times[0],
        stop_seconds=times[1],
        labels=tuple(holds) if multi_label else (int(total_A.argmax()),),
        logits=logits,
        probabilities=chances_A,
        windows=len(covering),
    )
