"""A clip with masks from a video and a pickle, as the loader that the authors released makes it.

The video is decoded, the frames are resized with PIL, all masks of the video are unpickled, those
of the clip's frames are decoded with pycocotools and resized with PIL; frames and masks are joined
by the ratio of their counts. Generous in one thing: of the decoded pictures only the clip's become
RGB, and nothing after its last one is decoded.
"""

import pickle
from dataclasses import dataclass
from pathlib import Path

import av
import numpy as np
from numpy.typing import NDArray
from PIL import Image
from pycocotools import mask as coco

__all__ = ["PlainClip", "plain_clip"]


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class PlainClip:
    """What comes of it."""

    frames: NDArray[np.uint8]
    """(T, crop, crop, 3) uint8 RGB."""
    masks: NDArray[np.float32]
    """(T, K, mask_size, mask_size) coverage."""
    cells: NDArray[np.float32]
    """(T, K, cells, cells) the same over the cells of the feature map."""


def plain_clip(
    video: Path,
    pickled: Path,
    *,
    places: NDArray[np.int64],
    num_frames: int,
    size: int = 256,
    crop: int = 224,
    mask_size: int = 28,
    cells: int = 14,
    max_objects: int = 10,
) -> PlainClip:
    """The clip of these frames of a video, cropped in the middle.

    Args:
        video: its file.
        pickled: its masks; a file of our own making, since a pickle may run anything.
        places: (T,) frames, rising.
        num_frames: frames of the whole video.
        size: rows and columns that frames are squashed to.
        crop: rows and columns that are kept of these.
        mask_size: rows and columns of the masks.
        cells: rows and columns of the feature map.
        max_objects: K.
    """
    left = (size - crop) // 2
    window = (left, left, left + crop, left + crop)
    frames = [
        np.asarray(picture.resize((size, size), Image.Resampling.BILINEAR).crop(window))
        for picture in _decoded(video, places)
    ]
    segms = pickle.loads(pickled.read_bytes())["segms"]
    masks = np.zeros((len(places), max_objects, mask_size, mask_size), np.float32)
    small = np.zeros((len(places), max_objects, cells, cells), np.float32)
    for time, place in enumerate(places.tolist()):
        frame = segms[min(place * len(segms) // num_frames, len(segms) - 1)]
        found = [mask for masks_of_class in frame for mask in masks_of_class][:max_objects]
        for slot, counts in enumerate(found):
            picture = Image.fromarray(coco.decode(counts) * np.uint8(255))
            cut = picture.resize((size, size), Image.Resampling.BILINEAR).crop(window)
            for target, side in ((masks, mask_size), (small, cells)):
                resized = cut.resize((side, side), Image.Resampling.BILINEAR)
                target[time, slot] = np.asarray(resized, np.float32) / 255
    return PlainClip(frames=np.stack(frames), masks=masks, cells=small)


def _decoded(video: Path, places: NDArray[np.int64]) -> list[Image.Image]:
    wanted, found = set(places.tolist()), {}
    last = max(wanted)
    with av.open(str(video)) as container:
        container.streams.video[0].codec_context.thread_count = 1
        for number, frame in enumerate(container.decode(video=0)):
            if number in wanted:
                found[number] = frame.to_image()
            if number == last:
                break
    return [found[place] for place in places.tolist()]
