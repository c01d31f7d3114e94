"""Writing the tables of a data set: they are read back with the project's own reader before
anything is replaced, all of them change or none, and a copy of each replaced table stays beside it.
"""

import codecs
import os
import shutil
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import suppress
from itertools import count, takewhile
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TypeVar

from orn.data_manifests.text_files import MOST_BYTES
from orn.shared.data_files import not_a_file, read_bounded
from orn.shared.errors import PipelineError
from orn.shared.jobs.atomic_file import remove_stale_temporaries, replacing_all

T = TypeVar("T")
_PREVIOUS = ".previous"
"""Ending of the first copy of a replaced table; later ones have a number."""


def read_back(
    files: Mapping[Path, bytes],
    read: Callable[[Path], T],
    *,
    folder: Path,
    beside: Iterable[str] = (),
) -> T:
    """Return what a reader makes of tables that are to be written, as if they were in their folder.

    Args:
        files: contents by path, all below `folder`; others are not read.
        read: the reader, which is given a folder with these files in place of `folder`.
        folder: the folder.
        beside: relative paths of further files that it reads, which need not exist.

    Raises:
        PipelineError: what the reader raises, with the names of the files in `folder`.
    """
    with TemporaryDirectory(prefix="orn-tables-") as temporary:
        copy = Path(temporary, folder.name or "set")
        inside = {path: data for path, data in files.items() if path.is_relative_to(folder)}
        for path, content in inside.items():
            target = copy / path.relative_to(folder)
            target.parent.mkdir(parents=True, exist_ok=True)
            target.write_bytes(content)
        for target, own in ((copy / name, folder / name) for name in beside):
            if own not in inside and own.exists():
                target.parent.mkdir(parents=True, exist_ok=True)
                target.symlink_to(own.absolute())
        try:
            return read(copy)
        except PipelineError as err:
            raise type(err)(str(err).replace(str(copy), str(folder))) from err


def replace_tables(files: Mapping[Path, bytes]) -> tuple[Path, ...]:
    """Replace tables, all of them or, if one cannot be written, none; return the copies of the
    earlier ones. A link stays a link, and a table without a change is not written.

    Raises:
        PipelineError: if a file cannot be written.
    """
    earlier = {path: _content(path) for path in files}
    changed = {path: data for path, data in files.items() if earlier[path] != data}
    table_of = {copy: path for path in changed if (copy := _copy_of(path, earlier[path]))}
    written = {**{copy: earlier[path] or b"" for copy, path in table_of.items()}, **changed}
    targets = [Path(os.path.realpath(path)) for path in written]
    for folder in {target.parent for target in targets}:
        remove_stale_temporaries(folder)
    try:
        with replacing_all(targets) as temporaries:
            for (path, content), temporary in zip(written.items(), temporaries, strict=True):
                like = table_of.get(path, path)
                if like.exists():
                    temporary.touch(mode=0o600)
                    shutil.copymode(like, temporary)
                temporary.write_bytes(content)
    except BaseException:
        for path in written:
            _restore(path, earlier.get(path))
        raise
    return tuple(table_of)


def _restore(path: Path, content: bytes | None) -> None:
    """Give a file its earlier content, or remove it; as far as the disk allows."""
    with suppress(OSError, PipelineError):
        if content is None:
            path.unlink(missing_ok=True)
        elif _content(path) != content:
            path.write_bytes(content)


def _content(path: Path) -> bytes | None:
    """Return the content of a file; None without one."""
    return None if not_a_file(path) else read_bounded(path, most_bytes=MOST_BYTES)


def _copy_of(path: Path, content: bytes | None) -> Path | None:
    """Return the path of the copy that a table needs before it is replaced: None for a new table,
    or if an update that was killed has made it."""
    if content is None:
        return None
    for copy in _copies(path):
        if not os.path.lexists(copy):
            return copy
        with suppress(PipelineError):
            if _content(copy) == content:
                return None
    return None


def earlier_copies(table: Path) -> Iterator[Path]:
    """Yield the copies of a table that earlier replacements have kept."""
    return takewhile(os.path.lexists, _copies(table))


def _copies(table: Path) -> Iterator[Path]:
    for number in count(1):
        ending = _PREVIOUS if number == 1 else f"{_PREVIOUS}-{number}"
        yield table.with_name(f"{table.stem}{ending}{table.suffix}")


def encoded_like(table: Path, text: str) -> bytes:
    """Return a new text of a table with the mark and the line ends that the file has now."""
    content = _content(table) or b""
    mark = codecs.BOM_UTF8 if content.startswith(codecs.BOM_UTF8) else b""  # as Excel writes it
    return mark + text.replace("\r\n", "\n").replace("\n", line_end(content)).encode()


def line_end(content: bytes) -> str:
    """Return how the lines of a text file end: as Windows writes them, or with a newline."""
    return "\r\n" if b"\r\n" in content else "\n"
