"""Section `data` of a recipe: which frames and objects a clip has."""

from typing import Annotated, Literal

from pydantic import Field
from pydantic.dataclasses import dataclass

from orn.shared.config.fields import STRICT, Count, Maybe

ClipSampling = Literal["spread", "authors"]
FrameJoin = Literal["time", "ratio"]
ObjectOrder = Literal["score", "person_first"]
"""Order in which detections fill the slots of a frame."""
UnsureLabels = Literal["negative", "ignored"]
UnsureInEvaluation = Literal["left_out", "negative"]

# The limits are far above useful values; they only prevent overflow in derived numbers.
_Crop = Annotated[int, Field(ge=1, le=8192)]


@dataclass(frozen=True, slots=True, kw_only=True, config=STRICT)
class DataRecipe:
    """Section `data` of a recipe."""

    crop: tuple[_Crop, _Crop] = (224, 224)
    """(height, width) of the crop in stored pixels; multiples of 16 for every network."""
    clip_frames: Annotated[int, Field(ge=1, le=10_000)] = 8
    """T, number of frames per clip; if a recipe does not set it, the data set's value is used. A
    clip with one frame has no relations across frames."""
    clip_sampling: ClipSampling = "spread"
    """Frame sampling: from equal parts of the segment (`spread`), or from equal parts after a
    random start, even in evaluation, as in the authors' released code (`authors`)."""
    max_objects: Annotated[int, Field(ge=0, le=1000)] = 10
    """Maximum number of detections per frame, highest scores first, without the background object;
    0 for the background alone, which is then the whole frame."""
    score_threshold: Annotated[float, Field(ge=0, le=1)] = 0.5
    """Minimum score of a detection."""
    train_segments: Maybe[Count] = None
    """Number of training segments, a random subset of the split, for learning curves; None for all
    segments."""
    flip: bool = False
    """Whether training clips are flipped left to right, with probability 1/2, together with their
    labels; requires `flipped_classes` in the manifest."""
    train_with_validation: bool = False
    """Whether the validation split is also used for training; the last weights are then kept,
    because there is no validation."""
    object_order: ObjectOrder = "score"
    """Order of detections in the slots of a frame: highest scores first, or persons first, followed
    by the others in random order."""
    frame_join: FrameJoin = "time"
    """How frames and detections are matched: by nearest time, or by index multiplied by the ratio
    of detected to stored frames, for videos that are stored completely."""
    unsure_labels: UnsureLabels = "negative"
    """Treatment of unsure labels in training: negative, as in the authors' code, or ignored."""
    unsure_in_evaluation: UnsureInEvaluation = "left_out"
    """Treatment of unsure labels in average precision: excluded, as in VLOG's evaluation, or
    negative, as in the authors' code."""

    @property
    def training_splits(self) -> tuple[str, ...]:
        """Names of the splits used for training."""
        return ("train", "validation") if self.train_with_validation else ("train",)
