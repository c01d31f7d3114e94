"""What is predicted, as records and as JSON has it.

A activity classes.
"""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

_DIGITS = 6
_SAME_SECONDS = 1e-6


@dataclass(frozen=True, slots=True, kw_only=True)
class SeenObject:
    """An object that the network was shown in a frame."""

    name: str
    """Class of the detector, or `background`."""
    score: float
    """Of that class, 0..1."""
    box: tuple[float, float, float, float]
    """x1 y1 x2 y2, half-open, pixels of the video's frames; what the crop leaves of it."""

    def as_json(self) -> dict[str, Any]:
        """The fields, rounded."""
        return {
            "name": self.name,
            "score": round(self.score, 4),
            "box": [round(each, 2) for each in self.box],
        }


@dataclass(frozen=True, slots=True, kw_only=True)
class DecidingPair:
    """Objects that were related, and what they counted for the predicted class."""

    frames: tuple[int, ...]
    """For each object the frame it is in, among those of the window; the latest comes last."""
    objects: tuple[int, ...]
    """For each its place among the objects of its frame."""
    fall: float
    """The object head's logit of the class, less that without this pair."""


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class _Part:
    """A part of a video."""

    video: str
    """Id of the video."""
    start_seconds: float
    """Where the part begins."""
    stop_seconds: float
    """Where it ends; half-open."""

    @property
    def middle(self) -> float:
        """When half of it is over, seconds."""
        return (self.start_seconds + self.stop_seconds) / 2

    def times(self, dash: str = "-") -> str:
        """From when to when."""
        return f"{self.start_seconds:.2f} {dash} {self.stop_seconds:.2f} s"


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class WindowPrediction(_Part):
    """What a network says of a part of a video, or of all of it."""

    frames: tuple[int, ...]
    """The T frames that were looked at, places in the video from 0."""
    seconds: tuple[float, ...]
    """Their times."""
    logits: Mapping[str, NDArray[np.float32]]
    """(A,) by head, as `orn eval` names them; the first is the prediction."""
    probabilities: NDArray[np.float32]
    """(A,) softmax of the prediction, or the sigmoid where several classes can hold."""
    objects: tuple[tuple[SeenObject, ...], ...]
    """What the network was shown in each of these frames."""
    pairs: tuple[DecidingPair, ...] | None = None
    """Those that counted most, the strongest first; None where nobody asked."""
    decided_by: str | None = None
    """`object_head`, `activity_head`, `both` or `neither`; None where nobody asked."""

    def __repr__(self) -> str:
        objects = sum(map(len, self.objects))
        found = f"label {self.label} ({self.probabilities[self.label]:.2f})"
        seen = f"{len(self.frames)} frames, {objects} objects, {len(self.pairs or ())} pairs"
        return f"<WindowPrediction {self.video!r} {self.times()}: {found}; {seen}>"

    def words(self, pair: DecidingPair) -> str:
        """One of its pairs, such as `cup at 0.40 s and person at 0.80 s`."""
        return " and ".join(
            f"{self.objects[frame][place].name} at {self.seconds[frame]:.2f} s"
            for frame, place in zip(pair.frames, pair.objects, strict=True)
        )

    @property
    def label(self) -> int:
        """The class of the highest logit."""
        return int(next(iter(self.logits.values())).argmax())

    def of_video(self, video: str, *, pairs: int) -> "WindowPrediction":
        """The same under another name of the video, with at most so many pairs, or as if nobody had
        asked for them."""
        if not pairs:
            return replace(self, video=video, pairs=None, decided_by=None)
        return replace(self, video=video, pairs=self.pairs and self.pairs[:pairs])

    def as_json(self, classes: Sequence[str]) -> dict[str, Any]:
        """The prediction as a line of `orn predict --json` has it."""
        found: dict[str, Any] = {
            "kind": "window",
            "video": self.video,
            "start": round(self.start_seconds, _DIGITS),
            "end": round(self.stop_seconds, _DIGITS),
            "frames": list(self.frames),
            "seconds": [round(each, _DIGITS) for each in self.seconds],
            "label": classes[self.label],
            "classes": as_classes(self.probabilities, classes),
            "logits": _as_lists(self.logits),
            "objects": [[each.as_json() for each in frame] for frame in self.objects],
        }
        if self.pairs is not None:
            found["decided_by"] = self.decided_by
            found["pairs"] = [self._pair(each) for each in self.pairs]
        return found

    def _pair(self, pair: DecidingPair) -> dict[str, Any]:
        members = [
            {
                "frame": self.frames[frame],
                "second": round(self.seconds[frame], _DIGITS),
                **self.objects[frame][place].as_json(),
            }
            for frame, place in zip(pair.frames, pair.objects, strict=True)
        ]
        return {"fall": round(pair.fall, _DIGITS), "objects": members}


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class SegmentPrediction(_Part):
    """A stretch of a video in which the prediction stays the same."""

    labels: tuple[int, ...]
    """The class; of a multi-label network all that hold, which may be none."""
    logits: Mapping[str, NDArray[np.float32]]
    """(A,) by head, the mean over its moments."""
    probabilities: NDArray[np.float32]
    """(A,) of the first of these."""
    windows: int
    """How many windows cover its moments, at most."""

    def __repr__(self) -> str:
        found = self.says(lambda label: f"label {label}")
        return f"<SegmentPrediction {self.video!r} {self.times()}: {found}; {self.windows} windows>"

    def says(self, name: Callable[[int], str], most: int | None = None) -> str:
        """The classes that hold by their names, with probabilities, the highest first."""
        labels = sorted(self.labels, key=lambda label: -float(self.probabilities[label]))
        return self._told(labels[:most], name) or "none"

    def runners_up(self, name: Callable[[int], str]) -> str:
        """The likeliest two of the others, likewise; nothing where there are none."""
        order = np.argsort(-self.probabilities, kind="stable").tolist()
        return self._told([label for label in order if label not in self.labels][:2], name)

    def _told(self, labels: Iterable[int], name: Callable[[int], str]) -> str:
        return ", ".join(f"{name(label)} {self.probabilities[label]:.2f}" for label in labels)

    def can_be_joined(self, later: "SegmentPrediction") -> bool:
        """Whether the other one goes on where this one ends, with the same classes."""
        is_next = abs(later.start_seconds - self.stop_seconds) <= _SAME_SECONDS
        return is_next and later.labels == self.labels

    def joined(self, later: "SegmentPrediction", *, multi_label: bool) -> "SegmentPrediction":
        """Both as one."""
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

    def as_json(self, classes: Sequence[str]) -> dict[str, Any]:
        """The stretch as a line of `orn predict --json` has it."""
        return {
            "kind": "segment",
            "video": self.video,
            "start": round(self.start_seconds, _DIGITS),
            "end": round(self.stop_seconds, _DIGITS),
            "labels": [classes[label] for label in self.labels],
            "classes": as_classes(self.probabilities, classes),
            "logits": _as_lists(self.logits),
            "windows": self.windows,
        }


def probabilities(logits_A: NDArray[np.float32], *, multi_label: bool) -> NDArray[np.float32]:
    """(A,) softmax of logits, or of each its sigmoid."""
    wide_A = logits_A.astype(np.float64)
    if multi_label:
        return (0.5 * (1 + np.tanh(wide_A / 2))).astype(np.float32)
    grown_A = np.exp(wide_A - wide_A.max())
    return (grown_A / grown_A.sum()).astype(np.float32)


def as_classes(chances_A: NDArray[np.float32], classes: Sequence[str]) -> dict[str, float]:
    """Probabilities by class, the highest first."""
    order_A = np.argsort(-chances_A, kind="stable").tolist()
    return {classes[row]: round(float(chances_A[row]), _DIGITS) for row in order_A}


def _as_lists(logits: Mapping[str, NDArray[np.float32]]) -> dict[str, list[float]]:
    return {name: [float(each) for each in logits_A] for name, logits_A in logits.items()}
