"""Datasets and attributes of a clip store's HDF5 file, looked at before anything of them is read.

A dataset may be a link into another file, name other files as the place of its data, be of a type
that says how to build it, or claim any size. What the writer never writes is refused, by HDF5's
description of it alone.
"""

import mmap
from pathlib import Path
from typing import Any

import h5py
import numpy as np
from h5py import h5a, h5d, h5l, h5o, h5s, h5t
from numpy.typing import NDArray

from orn.shared.errors import ClipStoreError
from orn.shared.text_table import counted
from orn.stage2_train.frames.schema import COLUMNS

CHUNK_BYTES = 2**20
"""Length of a chunk of the JPEG files of a part; those of a store are in one piece."""
_OF_FAILED = {name for name, each in COLUMNS.items() if each.counts == "failed"}
_TEXT = np.dtype([("size", "<u4"), ("heap", "<u8"), ("place", "<u4")])
"""A text of variable length as the file has it: its length, and where it lies."""
_LINKS = {h5l.TYPE_SOFT: "a soft link", h5l.TYPE_EXTERNAL: "a link to another file"}
_LAYOUTS = {h5d.COMPACT: "compact", h5d.CHUNKED: "chunked", h5d.VIRTUAL: "virtual"}
_ATTRIBUTES = (h5t.INTEGER, h5t.FLOAT, h5t.STRING)


def unreadable(path: Path, problem: str) -> ClipStoreError:
    """The error for a file that is no clip store, or whose table of contents is damaged."""
    return ClipStoreError(
        f"{path}: cannot be read as a clip store: {problem}; remove it and run `orn clips` again"
    )


def check_names(file: h5py.File, path: Path) -> set[str]:
    """Names of the datasets of a file, those of the format; of a part of a video that failed, those
    of failures alone.

    Raises:
        ClipStoreError: if one is missing or is not of the format.
    """
    names = {name.decode(errors="backslashreplace") for name in file.id}
    for name in sorted((_OF_FAILED if names <= _OF_FAILED else COLUMNS.keys()) - names):
        raise unreadable(path, f"wanted the dataset {name}, found none")
    for name in sorted(names - COLUMNS.keys()):
        raise unreadable(path, f"wanted the datasets of a clip store alone, found {name!r} as well")
    return names


def checked_dataset(file: h5py.File, name: str, path: Path) -> h5d.DatasetID:
    """A dataset of the file that is what the format says of its name: in this file, of its type,
    with one axis, and no larger than the file.

    Raises:
        ClipStoreError: if it is something else.
    """

    def refused(wanted: str, found: object) -> ClipStoreError:
        return unreadable(path, f"dataset {name}: wanted {wanted}, found {found}")

    kind = file.id.links.get_info(name.encode()).type
    if kind != h5l.TYPE_HARD:
        raise refused("a dataset in this file", _LINKS.get(kind, f"a link of kind {kind}"))
    dataset = h5o.open(file.id, name.encode())
    if not isinstance(dataset, h5d.DatasetID):
        raise refused("a dataset", "a group" if isinstance(dataset, h5py.h5g.GroupID) else "a type")
    plan = dataset.get_create_plist()
    layout = plan.get_layout()
    is_in_chunks = name == "jpeg" and layout == h5d.CHUNKED and plan.get_chunk() == (CHUNK_BYTES,)
    if layout != h5d.CONTIGUOUS and not is_in_chunks:
        raise refused("contiguous data", f"{_LAYOUTS.get(layout, 'unknown')} data")
    if plan.get_external_count() > 0:
        raise refused("data in this file", f"{counted(plan.get_external_count(), 'other file')}")
    if plan.get_nfilters() > 0:
        raise refused("data without filters", f"{counted(plan.get_nfilters(), 'filter')}")
    dtype = COLUMNS[name].dtype
    wanted = h5py.string_dtype() if dtype is None else np.dtype(dtype)
    row_bytes = _TEXT.itemsize if dtype is None else wanted.itemsize
    found = dataset.get_type()
    if found.committed() or not found.equal(h5t.py_create(wanted, logical=True)):
        raise refused("text" if dtype is None else f"numbers of type {wanted}", "another type")
    space = dataset.get_space()
    if space.get_simple_extent_type() != h5s.SIMPLE or space.get_simple_extent_ndims() != 1:
        raise refused("one axis", "a single value, none, or more axes")
    (length,) = space.get_simple_extent_dims()
    size, file_size = length * row_bytes, path.stat().st_size
    places = pieces(dataset)
    if sum(of for _, of in places) < size or any(at + of > file_size for at, of in places):
        raise refused(f"{length} rows in a file of {file_size} bytes", f"{size} bytes outside it")
    return dataset


def pieces(dataset: h5d.DatasetID) -> list[tuple[int, int]]:
    """Where the bytes of a dataset lie in the file: start and length of each piece, in order.

    Raises:
        OSError: if there are gaps.
    """
    if dataset.get_create_plist().get_layout() == h5d.CONTIGUOUS:
        offset = dataset.get_offset()
        return [] if offset is None else [(offset, dataset.get_storage_size())]
    found: list[tuple[int, int, int]] = []
    dataset.chunk_iter(lambda one: found.append((one.chunk_offset[0], one.byte_offset, one.size)))
    found.sort()
    if any(
        (start, size) != (number * CHUNK_BYTES, CHUNK_BYTES)
        for number, (start, _, size) in enumerate(found)
    ):
        raise OSError("the chunks of the dataset jpeg have gaps")
    return [(offset, size) for _, offset, size in found]


def read_column(
    file: h5py.File, dataset: h5d.DatasetID, name: str, content: mmap.mmap
) -> NDArray[Any]:
    """A whole column of a dataset that was checked: in memory if it is small, else where it lies in
    the file, which `content` maps; text as an array of strings.

    Raises:
        OSError: if the texts are longer than the file.
        ValueError: if they are no UTF-8.
    """
    column, length = COLUMNS[name], dataset.shape[0]
    if length == 0:
        return np.zeros(0, column.dtype or object)
    dtype = _TEXT if column.dtype is None else np.dtype(column.dtype)
    values = np.frombuffer(content, dtype, count=length, offset=dataset.get_offset())
    if column.dtype is not None:
        return values.copy() if column.is_small else values
    if int(values["size"].sum(dtype=np.uint64)) > len(content):
        raise OSError(f"the texts of {name} are longer than the file")
    return np.asarray(file[name].asstr()[:])


def attribute(owner: Any, name: str) -> int | float | str | None:
    """An attribute that is one number or one text; None where there is none.

    Raises:
        OSError: if it is something else.
    """
    if not h5a.exists(owner, name.encode()):
        return None
    found = h5a.open(owner, name.encode())
    kind, space = found.get_type(), found.get_space()
    is_text = kind.get_class() == h5t.STRING
    if (
        kind.get_class() not in _ATTRIBUTES
        or space.get_simple_extent_type() != h5s.SCALAR
        or (is_text and not kind.is_variable_str())
        or kind.get_size() > 8
    ):
        raise OSError(f"attribute {name}: wanted one number or one text, found another type")
    if is_text:
        text = np.empty((), h5py.string_dtype())
        found.read(text)
        return bytes(text[()]).decode(errors="backslashreplace")
    number = np.empty((), kind.dtype)
    found.read(number)
    return number.item()
