"""The settings of clips and requests for clips; and the choices for a clip: its frames, crop, order
of objects and flip.

The F frames of a segment are divided into L equal parts (`center_frames`); one frame is sampled
from each part (section 6 of the paper).

Intervals are half-open. All random numbers for a clip come from generators seeded with (seed,
epoch, segment), so that a clip does not depend on the worker that loads it, on the order of clips,
or on resumption.

T frames of a clip, A activity classes.
"""

import hashlib
import logging
from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from orn.data_manifests.records import Dataset, Segment
from orn.shared.errors import ConfigError
from orn.shared.shards.detection_folder import VideoShards
from orn.stage2_train.clip_store.center_frames import borders, center_frames, middles
from orn.stage2_train.clip_store.crop import CropWindow, center_window, random_window
from orn.stage2_train.clips.object_slots import FrameObjects, SlotSettings, with_persons_first
from orn.stage2_train.settings.recipe import DataRecipe

logger = logging.getLogger(__name__)
FrameInput = Literal["frames", "maps", "motion", "windows"]
_STREAMS = {"order": 2, "flip": 3}
"""Random streams that are separate from the stream for frames and crops."""

_UNUSED_SECONDS = 2 / 30
_LONG_SECONDS = 3.0


@dataclass(frozen=True, slots=True)
class ClipRequest:
    """Request for a clip of a segment."""

    segment: int
    """Index of the segment in the data set."""
    epoch: int | None = None
    """Epoch of a training clip, which determines its random numbers; None for evaluation."""
    clip: int = 0
    """Index of a clip for evaluation: clip 0 is centered, the others have random frames."""
    resolved: tuple[Segment, VideoShards] | None = None
    """The segment and the shards with its detections, for a dataset from `ClipDataset.for_workers`,
    which has neither segments nor a list of videos."""


def classes_when_flipped(dataset: Dataset) -> tuple[int, ...]:
    """Return (A,) the class of each class's videos when they are flipped left to right.

    Raises:
        ConfigError: if the manifest has no `flipped_classes`, or lists a pair with a missing class.
    """
    where = f"{dataset.name}: flipped_classes of its manifest"
    if dataset.flipped_classes is None:
        raise ConfigError(
            f"{where}: expected the pairs of classes that a left-right flip exchanges ([] for "
            "none), but the key is missing; add it, or omit flips (--set data.flip=false)"
        )
    becomes = list(range(len(dataset.classes)))
    for pair in dataset.flipped_classes:
        there = [name for name in pair if name in dataset.classes]
        if len(there) == 1:
            raise ConfigError(
                f"{where}: expected pairs of classes, got {pair[0]!r} and {pair[1]!r}, of which "
                f"only {there[0]!r} is a class"
            )
        if not there:
            logger.warning("%s: neither %r nor %r is a class; pair ignored", where, *pair)
            continue
        one, other = (dataset.classes.index(name) for name in pair)
        becomes[one], becomes[other] = other, one
    return tuple(becomes)


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
    as_authors: bool = False
    """Whether frames are sampled, matched with detections by the ratio of their numbers, and
    objects ordered as in the authors' released code, and unsure labels count as negative."""
    may_lack_objects: bool = False
    """Whether frames without detections near their time have no objects, instead of an error."""
    has_one_clip: bool = False
    """Whether each segment has only the frames of its centered clip."""
    draws_one_of: int | None = None
    """Of windows of long videos, whose last single label is background, the number of which an
    epoch of training draws one; None for segments, all of which are used."""
    reads: frozenset[FrameInput] = frozenset({"frames"})
    """What the network reads of frames: the crops, or in their place stored maps or the windows of
    a video network, and motion maps."""
    seed: int = 0
    """Random seed for training."""


class ClipDraws:
    """The choices for one clip; `frames` must be called before `window`, which draws next."""

    def __init__(self, request: ClipRequest, segment: Segment, settings: ClipSettings) -> None:
        self._request = request
        self._segment = segment
        self._settings = settings
        self._generator = self._stream()

    @property
    def is_training(self) -> bool:
        """Whether the clip is drawn for training."""
        return self._request.epoch is not None

    def frames(self, seconds_F: NDArray[np.float64]) -> NDArray[np.int64]:
        """Return the (T,) indices of a clip's frames within its segment."""
        data = self._settings.data
        is_centered = not self.is_training and self._request.clip == 0
        if self._settings.as_authors:
            return authors_frames(
                seconds_F, data.clip_frames, self._generator, is_centered=is_centered
            )
        if is_centered:
            return center_frames(len(seconds_F), data.clip_frames)
        return random_frames(len(seconds_F), data.clip_frames, self._generator)

    def window(self, stored: tuple[int, int]) -> CropWindow:
        """Return the crop: random in training, centered in evaluation."""
        crop = self._settings.data.crop
        if not self.is_training:
            return center_window(stored, crop)
        return random_window(stored, crop, self._generator)

    def persons_first(self, objects: list[FrameObjects], *, person: int) -> list[FrameObjects]:
        """Return the objects of each frame with persons first and the others in random order."""
        order = self._stream("order")
        return [with_persons_first(frame, order, person=person) for frame in objects]

    def is_flipped(self) -> bool:
        """Return whether the clip is flipped left to right."""
        if not self.is_training or self._settings.flipped_A is None:
            return False
        return bool(self._stream("flip").integers(2))

    def _stream(self, of: str | None = None) -> np.random.Generator:
        """Return the random generator for the clip, or for one of its `_STREAMS`."""
        request = self._request
        if request.epoch is not None:
            seeds = (self._settings.seed, request.epoch, request.segment)
            return np.random.default_rng(seeds if of is None else (*seeds, _STREAMS[of]))
        name = self._segment.id
        return clip_generator(name if of is None else f"{name}\0{of}", request.clip)


def random_frames(
    num_frames: int, num_parts: int, generator: np.random.Generator
) -> NDArray[np.int64]:
    """Return (L,) int64 in [0, F): one frame sampled uniformly from each part; if F < L, the middle
    frames, without using random numbers."""
    if num_frames < num_parts:
        return middles(num_frames, num_parts)
    starts = borders(num_frames, num_parts)
    return generator.integers(starts[:-1], starts[1:])


def authors_frames(
    seconds_F: NDArray[np.float64],
    num_parts: int,
    generator: np.random.Generator,
    *,
    is_centered: bool,
) -> NDArray[np.int64]:
    """Return (L,) int64 in [0, F): frames sampled as in the authors' released code.

    That code assumes 30 frames/s. It never uses the last 2 frames (1/15 s). If 90 + n frames remain
    (3 s and n more frames), the clip starts at a frame sampled from the first n. The frames from
    the start to the end are divided into L equal parts.

    Args:
        seconds_F: times of the segment's frames (at least one).
        num_parts: number of parts L.
        generator: random generator for the start, even of a centered clip, and for the frames.
        is_centered: whether to use the middle frame of each part instead of a random one; implied
            if there are fewer frames than parts.
    """
    num_frames = len(seconds_F)
    length = seconds_F[-1] - seconds_F[0]
    rate = (num_frames - 1) / length if length > 0 else 0.0
    num_usable = max(num_frames - round(_UNUSED_SECONDS * rate), 1)
    num_starts = num_usable - round(_LONG_SECONDS * rate) if rate else 0
    start = int(generator.integers(num_starts)) if num_starts > 0 else 0
    num_left = num_usable - start
    if is_centered or num_left < num_parts:
        return start + middles(num_left, num_parts)
    firsts = start + borders(num_left, num_parts)[:-1]
    return firsts + generator.integers(num_left // num_parts, size=num_parts)


def clip_generator(segment_id: str, clip_index: int) -> np.random.Generator:
    """Return the random generator for a test clip of a segment; it does not depend on the seed."""
    digest = hashlib.sha256(f"{segment_id}\0{clip_index}".encode()).digest()
    return np.random.default_rng(int.from_bytes(digest[:16], "little"))
