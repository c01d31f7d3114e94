"""Settings for clips: a section of the recipe, and sizes from the data set and the network."""

from dataclasses import dataclass

from orn.shared.evaluation_names import FrameOrder
from orn.stage2_train.clips.objects import SlotSettings
from orn.stage2_train.settings.data_recipe import DataRecipe


@dataclass(frozen=True, slots=True, kw_only=True)
class ClipSettings:
    """Settings for a `ClipDataset`."""

    data: DataRecipe
    """Section `data` of the recipe."""
    slots: SlotSettings
    num_activities: int
    multi_label: bool
    """Whether a label is a vector over the activities instead of a single activity."""
    flipped_A: tuple[int, ...] | None = None
    """Class of each class's mirrored videos, for random flips in training; None for no flips."""
    frame_order: FrameOrder = "forward"
    """Order of a clip's frames, changed only as a control in evaluation."""
    reads_frames: bool = True
    """Whether frames are decoded; networks that read none get black frames, which is faster."""
    seed: int = 0
    """Random seed for training."""
