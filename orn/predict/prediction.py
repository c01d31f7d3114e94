"""Predictions as records and as JSON objects.

A activity classes.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from orn.shared.text import truncate
from orn.stage2_train.explanation.importance import Pair
from orn.stage2_train.explanation.shown_clip import ShownClip
from orn.stage2_train.runs.predictions import probabilities

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

    def as_json(self, *, most_pairs: int | None = None) -> dict[str, Any]:
        """Return the segment as printed by `orn predict --json`; it has no pairs."""
        labels = [self.classes[label] for label in self.labels]
        return self._as_json("segment") | {"labels": labels, "windows": self.windows}
