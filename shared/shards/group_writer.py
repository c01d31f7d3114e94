"""Writes a Zarr v3 group of flat arrays into one ZIP file of stored members (read: `zarr_zip`).

zarr writes the documents, the columns bring the chunks. It is imported with this module, not when
the first shard is full, so that a process has from its start what it needs for every shard.
"""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import zarr
from zarr.codecs import Crc32cCodec, ZstdCodec
from zarr.storage import MemoryStore

from shared.shards.column import ZSTD_LEVEL, Column
from shared.shards.sealed_zip import write_members

__all__ = ["write_group"]


def write_group(
    path: Path, *, columns: Mapping[str, Column], attributes: Mapping[str, Any]
) -> None:
    """Writes a group; equal arguments give equal bytes.

    Args:
        path: the file to write.
        columns: the arrays by name, cut into chunks along their first axis.
        attributes: the group's attributes, plain JSON.
    """
    documents: dict[str, Any] = {}
    chunks: dict[str, bytes] = {}
    group = zarr.create_group(MemoryStore(documents), attributes=dict(attributes))
    for name, column in columns.items():
        row = column.spec.row
        group.create_array(
            name,
            shape=(len(column), *row),
            dtype=column.spec.dtype,
            chunks=(column.rows_per_chunk, *row),
            compressors=[ZstdCodec(level=ZSTD_LEVEL), Crc32cCodec()],
            dimension_names=column.spec.axes,
        )
        tail = "/0" * len(row)
        # Every chunk is stored, those of zeros too, so that a lost one cannot pass for zeros.
        for index, chunk in enumerate(column.chunks()):
            chunks[f"{name}/c/{index}{tail}"] = chunk
    write_members(path, {key: text.to_bytes() for key, text in documents.items()} | chunks)
