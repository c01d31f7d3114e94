"""Predictions as records and as JSON objects.

A activity classes.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from orn.shared.text import truncate
from orn.stage2_train.clips.objects import BACKGROUND
from orn.stage2_train.explanation.explained import LEAST_DROP, WHOLE_FRAME, detected_text
from orn.stage2_train.explanation.importance import Pair
from orn.stage2_train.runs.predictions import probabilities

_DIGITS = 6
_SAME_SECONDS = 1e-6


@dataclass(frozen=True, slots=True, kw_only=True)
class SeenObject:
    """An object in a frame of the network's input."""

    name: str
    """Detector class, or `background`."""
    score: float
    """Score of that class, 0..1."""
    box: tuple[float, float, float, float]
    """x1 y1 x2 y2, half-open, clipped to the crop, in pixels of the detections' grid: the video's
    frames, or imported masks of a different size."""

    @property
    def is_whole_frame(self) -> bool:
        """Whether this is the background object, whose mask covers the whole frame."""
        return self.name == BACKGROUND

    @property
    def title(self) -> str:
        """Name for people."""
        return WHOLE_FRAME if self.is_whole_frame else self.name

    def as_json(self) -> dict[str, Any]:
        """Return the fields with rounded numbers."""
        return {
            "name": self.name,
            "score": round(self.score, 4),
            "box": [round(value, 2) for value in self.box],
        }


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
    seconds: tuple[float, ...]
    """Times of these frames."""
    objects: tuple[tuple[SeenObject, ...], ...]
    """Objects of each of these frames."""
    pairs: tuple[Pair, ...] | None = None
    """Most important pairs, the strongest first; None if pairs were not requested."""
    decided_by: str | None = None
    """`object_head`, `activity_head`, `both` or `neither`; None without pairs or with one head."""

    def __repr__(self) -> str:
        objects = sum(map(len, self.objects))
        predicted = repr(truncate(self.class_text([self.label])))
        seen = f"{len(self.frames)} frames, {objects} objects, {len(self.pairs or ())} pairs"
        return f"<WindowPrediction {self.video!r} {self.times()}: {predicted}; {seen}>"

    def members(self, pair: Pair) -> list[tuple[SeenObject, float]]:
        """Return the objects of a pair with their times in seconds."""
        places = zip(pair.frames, pair.objects, strict=True)
        return [(self.objects[frame][place], self.seconds[frame]) for frame, place in places]

    def pair_text(self, pair: Pair) -> str:
        """Return a pair as text, such as `cup at 0.40 s and person at 0.80 s`."""
        return " and ".join(f"{seen.title} at {at:.2f} s" for seen, at in self.members(pair))

    def shown_pairs(self, most: int) -> list[Pair]:
        """Return the most important pairs whose logit drop is large enough to be shown."""
        return [pair for pair in self.pairs or () if pair.logit_drop >= LEAST_DROP][:most]

    @property
    def label(self) -> int:
        """Class with the highest logit."""
        return int(next(iter(self.logits.values())).argmax())

    def of_video(self, video: str, *, pairs: int) -> "WindowPrediction":
        """Return a copy with a different video id, and at most `pairs` pairs (None if 0)."""
        if not pairs:
            return replace(self, video=video, pairs=None, decided_by=None)
        return replace(self, video=video, pairs=self.pairs and self.pairs[:pairs])

    def detected_text(self) -> str:
        """Return the detected classes with their highest scores, such as `cup 0.98, bed 0.91`."""
        objects = (seen for frame in self.objects for seen in frame if not seen.is_whole_frame)
        return detected_text((seen.name, seen.score) for seen in objects)

    def as_json(self) -> dict[str, Any]:
        """Return the prediction as printed by `orn predict --json`."""
        record = self._as_json("window") | {
            "frames": list(self.frames),
            "seconds": [round(seconds, _DIGITS) for seconds in self.seconds],
            "label": self.classes[self.label],
            "objects": [[value.as_json() for value in frame] for frame in self.objects],
        }
        if self.pairs is not None:
            record["decided_by"] = self.decided_by
            record["pairs"] = [self._pair(pair) for pair in self.pairs]
        return record

    def _pair(self, pair: Pair) -> dict[str, Any]:
        members = [
            {
                "frame": self.frames[frame],
                "second": round(self.seconds[frame], _DIGITS),
                **self.objects[frame][place].as_json(),
            }
            for frame, place in zip(pair.frames, pair.objects, strict=True)
        ]
        return {"logit_drop": round(pair.logit_drop, _DIGITS), "objects": members}


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class SegmentPrediction(_Part):
    """A segment of a video with a constant prediction; its logits are averaged over time."""

    labels: tuple[int, ...]
    """Predicted class; for multiple labels, all predicted classes, possibly none."""
    windows: int
    """Maximum number of windows that overlap at any time."""

    def __repr__(self) -> str:
        predicted = f"{truncate(self.predicted_text())!r}; {self.windows} windows"
        return f"<SegmentPrediction {self.video!r} {self.times()}: {predicted}>"

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

    def as_json(self) -> dict[str, Any]:
        """Return the segment as printed by `orn predict --json`."""
        labels = [self.classes[label] for label in self.labels]
        return self._as_json("segment") | {"labels": labels, "windows": self.windows}
