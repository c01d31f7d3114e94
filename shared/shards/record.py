"""What is known of a shard once its directory and its documents were read: enough to read it."""

from contextlib import suppress
from dataclasses import dataclass
from operator import attrgetter
from pathlib import Path
from typing import Self

from cachetools import LRUCache

from orn.shared.data_files import Stamp, stamp_of
from orn.shared.errors import ShardFormatError
from orn.shared.shards.schema import MOST_ROWS, ShardAttributes, arrays_of
from orn.shared.shards.zarr_zip import GroupLayout, read_layout

_RECORDS_BYTES = 16 * 2**20


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class ShardRecord:
    """What is known of a shard whose arrays are those of the format; enough to read it."""

    attributes: ShardAttributes
    layout: GroupLayout

    @classmethod
    def checked(cls, path: Path, attributes: ShardAttributes, layout: GroupLayout) -> Self:
        """The record.

        Raises:
            ShardFormatError: if the arrays are not those of the format.
        """
        _check_arrays(path, layout, class_scores=attributes.class_scores)
        return cls(attributes=attributes, layout=layout)

    @property
    def size_bytes(self) -> int:
        """About the memory that it takes."""
        entries = len(self.attributes.videos) + len(self.attributes.failed)
        return 5000 + 500 * entries + self.layout.size_bytes


_records: LRUCache[tuple[Path, int, Stamp], ShardRecord]
_records = LRUCache(_RECORDS_BYTES, getsizeof=attrgetter("size_bytes"))
"""Of the shards that this process opened latest, by the identity of the file."""


def shard_record(path: Path) -> ShardRecord:
    """What a shard says of itself; read and checked once in a process while the file is the same.

    Raises:
        ShardNotFoundError: if there is no such file.
        ShardFormatError: if it is damaged, or not of a format version that this release reads.
    """
    key = None
    with suppress(OSError):
        status = path.stat()
        key = (path, status.st_ino, stamp_of(status))
    record = None if key is None else _records.get(key)
    if record is None:
        found, layout = read_layout(path)
        attributes = ShardAttributes.from_json(found, source=str(path))
        record = ShardRecord.checked(path, attributes, layout)
        if key is not None and key[-1] == layout.stamp:
            with suppress(ValueError):  # larger than the cache
                _records[key] = record
    return record


def _check_arrays(path: Path, layout: GroupLayout, *, class_scores: bool) -> None:
    """Checks that the arrays of the schema are there, with their types and matching lengths."""
    specs, forms = arrays_of(class_scores=class_scores), layout.arrays
    for name, spec in specs.items():
        if name not in forms:
            raise ShardFormatError(f"{path}: array {name!r} is missing")
        form = forms[name]
        if (form.dtype, form.row) != (spec.dtype, spec.row):
            raise ShardFormatError(
                f"{path}: array {name!r}: wanted {spec.dtype} rows of {spec.row}, "
                f"found {form.dtype} rows of {form.row}"
            )
    counted = {"frames": "frame_index", "detections": "boxes", "bytes": "rle"}
    for name, spec in specs.items():
        what, plus, _ = spec.counts.partition(" + ")
        length = forms[counted[what]].num_rows + bool(plus)
        if length > MOST_ROWS[what] + 1:
            raise ShardFormatError(
                f"{path}: wanted at most {MOST_ROWS[what]:,} {what}, found {length:,}"
            )
        if forms[name].num_rows != length:
            raise ShardFormatError(
                f"{path}: array {name!r}: wanted {length} rows ({spec.counts}), "
                f"found {forms[name].num_rows}"
            )
