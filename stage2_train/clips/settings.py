"""How clips are made: the part of a recipe that says so, and what a data set and a network add."""

from dataclasses import dataclass, field
from typing import Annotated, Literal

from pydantic import Field
from pydantic.dataclasses import dataclass as checked_dataclass

from orn.shared.config.fields import STRICT, Count, Maybe
from orn.stage2_train.clips.controls import Controls
from orn.stage2_train.clips.join import FrameJoin
from orn.stage2_train.clips.objects import ObjectOrder, SlotSettings
from orn.stage2_train.clips.sampling import ClipSampling

UnsureLabels = Literal["negative", "ignored"]
UnsureInEvaluation = Literal["left_out", "negative"]

# Limits are far above what anyone trains with, and low enough for what is computed from them.
_Crop = Annotated[int, Field(ge=1, le=8192)]


@checked_dataclass(frozen=True, slots=True, kw_only=True, config=STRICT)
class DataRecipe:
    """How clips are made."""

    crop: tuple[_Crop, _Crop] = (224, 224)
    """(height, width) of the crop in stored pixels; multiples of 16 for every network."""
    clip_frames: Annotated[int, Field(ge=1, le=10_000)] = 8
    """T, frames of a clip; a recipe's file without it takes the data set's. With 1 no frames are
    related."""
    clip_sampling: ClipSampling = "spread"
    """Where the frames of a clip come from: equal parts of the segment, or as in the authors'
    released code, equal parts of what is left after a random start, in evaluation, too."""
    max_objects: Annotated[int, Field(ge=1, le=1000)] = 10
    """Detections of a frame at most, the highest scores first; a background object comes on top."""
    score_threshold: Annotated[float, Field(ge=0, le=1)] = 0.5
    """Detections below it are ignored."""
    train_segments: Maybe[Count] = None
    """Segments to train on, drawn from those of the split; none for all. For learning curves."""
    flip: bool = False
    """Whether half of the training clips, drawn anew each time, are flipped left to right, labels
    with them; the manifest's `flipped_classes` has to say what those become."""
    train_with_validation: bool = False
    """Whether the validation split is trained on, too; nothing is validated then, and the last
    weights are kept."""
    object_order: ObjectOrder = "score"
    """Which detections fill the slots of a frame first: the highest scores, or the persons, and
    then the others in a random order."""
    frame_join: FrameJoin = "time"
    """Which detections belong to a frame: those nearest in time, or those at its place times the
    ratio of the numbers of detected and of stored frames, for videos that are stored whole."""
    unsure_labels: UnsureLabels = "negative"
    """Classes of which annotators could not tell whether they hold: count as absent in training, as
    in the authors' code, or are `ignored` by the loss."""
    unsure_in_evaluation: UnsureInEvaluation = "left_out"
    """What average precision does with such pairs of segment and class: leaves them out, as VLOG's
    own evaluation does, or counts them as `negative`, as the authors of the paper did."""
    controls: Controls = field(default_factory=Controls)
    """What is changed about clips on purpose, in experiments only."""

    @property
    def trained_splits(self) -> tuple[str, ...]:
        """Names of the splits that weights are learned from."""
        return ("train", "validation") if self.train_with_validation else ("train",)


@dataclass(frozen=True, slots=True, kw_only=True)
class ClipSettings:
    """How clips are made."""

    data: DataRecipe
    """What the recipe says."""
    slots: SlotSettings
    num_activities: int
    multi_label: bool
    """Whether a label is a vector over the activities instead of one of them."""
    flipped_A: tuple[int, ...] | None = None
    """The class that each class is when its film is flipped left to right, as half of the training
    clips are; None flips none."""
    reads_tracks: bool = False
    """Whether the network has to know which detections of a video are of one object."""
    reads_frames: bool = True
    """Whether pictures are decoded; a network that looks at none gets black ones, sooner."""
    seed: int = 0
    """Of the training draws."""
