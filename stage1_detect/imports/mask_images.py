"""Read a folder of masks in PNG files.

By default, `VIDEO/anythingNUMBER.png` is the label image of a frame, as in DAVIS and YouTube-VOS,
and as trackers such as SAM 2 write it: the pixels of each value except 0 are an object, and the
value is its track. With `{class}` or `{track}` in the pattern of names, a file is the mask of one
object.
"""

import re
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from orn.shared.data_files import open_file
from orn.shared.errors import ObjectImportError
from orn.shared.masks import rle
from orn.shared.shards.shard_format import MOST_SIDE
from orn.stage1_detect.imports.frame_files import named_in
from orn.stage1_detect.imports.source_objects import SourceObject, SourceRecord

_MODES = {"1", "L", "P", "I;16", "I"}
"""Pillow's modes of images with one number per pixel."""
_MOST_RUNS = 1 << 22
"""Maximum number of runs of equal pixels in the columns of an image, which are held in memory."""


def read_masks(
    path: Path, pattern: re.Pattern[str], names: dict[str, None]
) -> Iterator[SourceRecord]:
    """Yield the frame of a PNG file, then its objects.

    Args:
        path: the file; if its name has no video, this is the name of its folder.
        pattern: pattern of the path, with the groups `video` and `frame`, and `class` or `track`.
        names: the names of the classes, to which names in the file are added.
    """
    named = named_in(path, pattern)
    record = SourceRecord(video_id=named.video, frame=named.frame)
    try:
        labels_HW = _labels(path)
    except ObjectImportError as err:
        yield replace(record, content=err)
        return
    record = replace(record, grid=labels_HW.shape)
    yield record
    for value, mask in _masks_of(labels_HW != 0 if named.is_object else labels_HW):
        names[named.name] = None
        track = named.track if named.is_object else value
        found = SourceObject(name=named.name, box=None, mask=mask, track=track)
        yield replace(record, content=found)


def _labels(path: Path) -> NDArray[Any]:
    """Return the (H, W) numbers of a PNG file."""
    try:
        with open_file(path, error=ObjectImportError) as file:
            image = Image.open(file, formats=["PNG"])
            if max(image.size) > MOST_SIDE or image.mode not in _MODES:
                raise ValueError(f"{image.size[0]} x {image.size[1]} pixels of type {image.mode}")
            image.verify()  # checksums, which decoding ignores
            file.seek(0)
            labels_HW = np.asarray(Image.open(file, formats=["PNG"]))
            num_runs = labels_HW.shape[1] + np.count_nonzero(labels_HW[1:] != labels_HW[:-1])
            if num_runs > _MOST_RUNS:
                raise ValueError(f"{num_runs:,} runs of equal pixels, more than {_MOST_RUNS:,}")
            return labels_HW
    except ObjectImportError:
        raise
    except Exception as err:  # Pillow raises several types of errors for a damaged file
        raise ObjectImportError(
            "expected a PNG file with one number per pixel (gray or palette) and sides of at most "
            f"{MOST_SIDE:,} pixels, got {str(err).replace(str(file), 'the file')}; export it again",
            where=path,
        ) from err


def _masks_of(labels_HW: NDArray[Any]) -> Iterator[tuple[int, bytes]]:
    """Yield each value except 0, with the run lengths of its pixels."""
    height, width = labels_HW.shape
    flat = labels_HW.T.reshape(-1).astype(np.int32, copy=False)
    starts_R = np.flatnonzero(np.diff(flat, prepend=flat[0] - 1))
    runs_R2 = np.stack([starts_R, np.append(starts_R[1:], flat.size)], axis=1)
    order_R = np.argsort(flat[starts_R], kind="stable")
    values_R = flat[starts_R][order_R]
    cuts = np.flatnonzero(np.diff(values_R)) + 1
    for values, runs in zip(
        np.split(values_R, cuts), np.split(runs_R2[order_R], cuts), strict=True
    ):
        if values[0]:
            yield int(values[0]), rle.encode_borders(runs.reshape(-1), height=height, width=width)
