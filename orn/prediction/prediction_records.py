"""Predictions as records and as JSON objects.

A activity classes, T frames of a window.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
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
from orn.stage2_train.runs.trained import OpenedModel

_DIGITS = 6


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class WindowPrediction:
    """Prediction for a window of a video, or for the whole video."""

    video: str
    """Id of the video."""
    classes: tuple[str, ...]
    """Names of the A activities."""
    start_seconds: float
    stop_seconds: float
    """End of the window, exclusive."""
    logits: Mapping[str, NDArray[np.float32]]
    """(A,) logits by the name of the head in `orn eval`; the prediction comes first."""
    probabilities: NDArray[np.float32]
    """(A,) softmax of the prediction, or its sigmoid for multiple labels."""
    labels: tuple[int, ...]
    """Predicted class; for multiple labels, all predicted classes, possibly none."""
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
        """Class with the highest logit, which pairs explain."""
        return int(next(iter(self.logits.values())).argmax())

    @property
    def explained_clip(self) -> ShownClip:
        """The clip; without pairs if the class that they explain is not predicted."""
        return self.clip if self.label in self.labels else replace(self.clip, pairs=None)

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

    def predicted_text(self, most: int | None = None) -> str:
        """Return the predicted classes with probabilities, the most probable first."""
        holds = [label for label in self.likeliest() if label in self.labels]
        return self.class_text(holds[:most]) or "none"

    def runners_up_text(self) -> str:
        """Return the two most probable other classes with probabilities."""
        others = [label for label in self.likeliest() if label not in self.labels]
        return self.class_text(others[:2])

    def without_objects(self) -> "WindowPrediction":
        """Return the prediction without objects and pairs, which takes little memory."""
        clip = replace(self.clip, objects=(), pairs=None, decided_by=None)
        return replace(self, clip=clip)

    def as_json(self, *, most_pairs: int | None = None) -> dict[str, Any]:
        """Return the prediction as printed by `orn predict --json`."""
        clip = self.clip
        record = {
            "kind": "window",
            "video": self.video,
            "start": round(self.start_seconds, _DIGITS),
            "end": round(self.stop_seconds, _DIGITS),
            "label": self.classes[self.label],
            "labels": [self.classes[label] for label in self.labels],
            "classes": {
                self.classes[label]: round(float(self.probabilities[label]), _DIGITS)
                for label in self.likeliest()
            },
            "logits": {
                name: [float(logit) for logit in logits_A] for name, logits_A in self.logits.items()
            },
            "frames": list(self.frames),
            "seconds": [round(seconds, _DIGITS) for seconds in clip.seconds],
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
class PredictedVideo:
    """A video with all of its predictions."""

    name: str
    """Name of the video as given by the user."""
    video: Video
    detections: VideoDetections
    """Objects in its frames."""
    windows: list[WindowPrediction] = field(default_factory=list)
    """Its windows, sorted by start, with pairs if the network relates objects."""


def objects_at(seconds: float, detections: VideoDetections, model: OpenedModel) -> DrawnObjects:
    """Return the objects of a video at a time; none if no frame with detections is near.

    Raises:
        ShardFormatError: if detections are damaged.
    """
    try:
        (row,) = detections.nearest_rows([seconds]).tolist()
    except JoinError:
        return DrawnObjects.none()
    threshold = model.config.recipe.data.score_threshold
    return DrawnObjects.of(detections.frame(row), score_threshold=threshold)
