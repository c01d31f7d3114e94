"""The random choices for a clip: frames, crop, order and flip.

All random numbers for a clip come from generators seeded with (seed, epoch, segment), so that a
clip does not depend on the worker that loads it, on the order of clips, or on resumption.

T frames of a clip, F frames of its segment.
"""

import numpy as np
from numpy.typing import NDArray

from orn.shared.manifests.records import Segment
from orn.stage2_train.clip_store.crop import CropWindow, random_window
from orn.stage2_train.clips.interfaces import ClipSettings
from orn.stage2_train.clips.objects import FrameObjects, with_persons_first
from orn.stage2_train.clips.sampling import (
    authors_frames,
    center_frames,
    clip_generator,
    frame_permutation,
    random_frames,
)
from orn.stage2_train.clips.views import ClipRequest

_STREAMS = {"control": 1, "order": 2, "flip": 3}
"""Random streams that are separate from the stream for frames and crops."""


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
        is_centered = not self.is_training and self._request.view.clip == 0
        if data.clip_sampling == "authors":
            return authors_frames(
                seconds_F, data.clip_frames, self._generator, is_centered=is_centered
            )
        if is_centered:
            return center_frames(len(seconds_F), data.clip_frames)
        return random_frames(len(seconds_F), data.clip_frames, self._generator)

    def window(self, stored: tuple[int, int]) -> CropWindow | None:
        """Return the random crop of a training clip; None in evaluation."""
        if not self.is_training:
            return None
        return random_window(stored, self._settings.data.crop, self._generator)

    def persons_first(self, objects: list[FrameObjects], *, person: int) -> list[FrameObjects]:
        """Return the objects of each frame with persons first and the others in random order."""
        order = self._stream("order")
        return [with_persons_first(each, order, person=person) for each in objects]

    def order(self) -> NDArray[np.int64]:
        """Return the (T,) order of the clip's frames, changed only as a control."""
        num_frames, frame_order = self._settings.data.clip_frames, self._settings.frame_order
        if frame_order == "forward":
            return np.arange(num_frames)
        return frame_permutation(num_frames, frame_order, self._stream("control"))

    def is_flipped(self) -> bool:
        """Return whether the clip is flipped left to right."""
        if not self.is_training:
            return self._request.view.flip
        if self._settings.flipped_A is None:
            return False
        return bool(self._stream("flip").integers(2))

    def _stream(self, of: str | None = None) -> np.random.Generator:
        """Return the random generator for the clip, or for one of its `_STREAMS`."""
        request = self._request
        if request.epoch is not None:
            seeds = (self._settings.seed, request.epoch, request.segment)
            return np.random.default_rng(seeds if of is None else (*seeds, _STREAMS[of]))
        name = self._segment.id
        return clip_generator(name if of is None else f"{name}\0{of}", request.view.clip)
