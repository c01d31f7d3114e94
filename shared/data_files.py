"""Files from untrusted sources: which ones may be opened, and reading them without blocking.

- Links are followed: data is often on other disks. Ids and manifests contain no `..` and no
  absolute paths.
- Only regular files are read. Pipes, sockets and devices are rejected without blocking.
- Small files are read whole, up to a limit. This module parses JSON of any kind; pydantic models
  validate the content.
- Files for random reads, shards and files of a clip store, stay open in a cache.
"""

import hashlib
import io
import json
import os
import stat
from collections.abc import Callable, Iterator
from pathlib import Path
from threading import RLock
from typing import Any

from cachetools import LRUCache, cached

from orn.shared.errors import ConfigError, PipelineError, VideoDecodeError
from orn.shared.text import path_text, utf8

MOST_BYTES = 16 << 20
"""Default limit on the size of a file. Parsed JSON can take 25 times its size in memory (a list of
empty objects)."""
_KINDS = {
    stat.S_IFREG: "a file",
    stat.S_IFDIR: "a folder",
    stat.S_IFIFO: "a pipe",
    stat.S_IFSOCK: "a socket",
    stat.S_IFCHR: "a device",
    stat.S_IFBLK: "a device",
}
_ABSENT = (FileNotFoundError, NotADirectoryError)
_READING = os.O_RDONLY
_APPENDING = os.O_RDWR | os.O_APPEND | os.O_CREAT | os.O_NOFOLLOW
_MOST_OPEN = 128
"""Number of files in a process that stay open."""

Stamp = tuple[int, int]
"""Size in bytes and modification time in nanoseconds."""


def stamp_of(status: os.stat_result) -> Stamp:
    """Return the stamp of a file, which changes if the file is replaced or modified."""
    return status.st_size, status.st_mtime_ns


def text_digest(text: str) -> str:
    """Return the digest, `sha256:...`, of a text in UTF-8."""
    return f"sha256:{hashlib.sha256(text.encode()).hexdigest()}"


def json_digest(value: Any) -> str:
    """Return the digest, `sha256:...`, of a JSON value, whatever the order of its keys."""
    return text_digest(json.dumps(value, sort_keys=True))


def not_a_file(path: str | Path) -> str | None:
    """Return a noun phrase for the file type at a path if it is not a regular file, else None."""
    try:
        status = Path(path).stat()
    except _ABSENT:
        return "none"
    except OSError as err:
        return f"one that cannot be opened ({err.strerror or err})"
    except ValueError:
        return "none, since the name contains a NUL character"
    return None if stat.S_ISREG(status.st_mode) else kind_of(status.st_mode)


def regular_status(path: Path) -> os.stat_result:
    """Return the status of a regular file or link target, without opening it.

    Raises:
        VideoDecodeError: if the file does not exist or is not a regular file.
    """
    try:
        status = path.stat()
    except (OSError, ValueError) as err:  # ValueError: a NUL in the name
        raise VideoDecodeError(f"cannot be opened ({reason(err)})", where=path) from err
    if not stat.S_ISREG(status.st_mode):
        raise VideoDecodeError(
            f"expected a regular file, got {kind_of(status.st_mode)}; replace it", where=path
        )
    return status


def reason(err: BaseException) -> str:
    """Return the short message of an error from FFmpeg or the operating system."""
    return getattr(err, "strerror", None) or str(err) or type(err).__name__


def kind_of(mode: int) -> str:
    """Return the file type of an `st_mode`, for messages."""
    return _KINDS.get(stat.S_IFMT(mode), "something else")


def walk(
    top: str | Path, *, onerror: Callable[[OSError], object] | None = None
) -> Iterator[tuple[str, list[str], list[str]]]:
    """Walk a folder like `os.walk`, in the order of names, following links to folders. Each folder
    is listed once, so circular links end."""
    seen: set[str] = set()
    for parent, folders, names in os.walk(top, onerror=onerror, followlinks=True):
        folders.sort()
        real = os.path.realpath(parent)
        if real in seen:
            folders.clear()
        else:
            seen.add(real)
            yield parent, folders, sorted(names)


def open_file(path: Path, *, error: type[PipelineError] = ConfigError) -> io.BufferedReader:
    """Open an existing regular file in binary mode, without blocking on a pipe or device.

    Raises:
        error: if the path is not a regular file or cannot be opened.
    """
    return os.fdopen(_descriptor(path, _READING, "cannot be read", error), "rb")


def open_to_append(path: Path) -> io.BufferedRandom:
    """Open or create a regular file for reading and appending.

    Symbolic links are rejected, because their target would be modified.

    Raises:
        PipelineError: if the file cannot be opened or created.
    """
    return os.fdopen(_descriptor(path, _APPENDING, "could not be written", PipelineError), "ab+")


def _descriptor(path: Path, flags: int, failed: str, error: type[PipelineError]) -> int:
    try:
        descriptor = os.open(path, flags | os.O_NONBLOCK, 0o666)
    except OSError as err:
        raise error(f"{failed} ({err.strerror})", where=path_text(path)) from err
    except ValueError as err:  # a NUL, or a lone surrogate
        raise error("not a valid file name; choose a different one", where=path_text(path)) from err
    status = os.fstat(descriptor)
    if not stat.S_ISREG(status.st_mode):
        os.close(descriptor)
        raise error(f"expected a file, got {kind_of(status.st_mode)}", where=path_text(path))
    return descriptor


def read_bounded(
    path: Path, *, most_bytes: int = MOST_BYTES, error: type[PipelineError] = ConfigError
) -> bytes:
    """Return all bytes of a file.

    Args:
        path: the file.
        most_bytes: limit on its size.
        error: type of the error.

    Raises:
        error: if the path is not a readable regular file, or exceeds the limit.
    """
    with open_file(path, error=error) as file:
        try:
            size = os.fstat(file.fileno()).st_size
            content = file.read(most_bytes + 1) if size <= most_bytes else b""
        except OSError as err:
            raise error(f"cannot be read ({err.strerror})", where=path_text(path)) from err
    if max(size, len(content)) > most_bytes:
        raise error(f"expected at most {most_bytes:,} bytes, got {size:,}", where=path_text(path))
    return content


def file_digest(path: Path, *, error: type[PipelineError] = ConfigError) -> str:
    """Return `sha256:` and the hexadecimal digest of a file of any size.

    Raises:
        error: if the file cannot be read.
    """
    with open_file(path, error=error) as file:
        try:
            return f"sha256:{hashlib.file_digest(file, 'sha256').hexdigest()}"
        except OSError as err:
            raise error(f"cannot be read ({err.strerror})", where=path_text(path)) from err


def read_json(
    path: Path, *, most_bytes: int = MOST_BYTES, error: type[PipelineError] = ConfigError
) -> Any:
    """Return the content of a JSON file.

    Raises:
        error: see `read_bounded`; also if the content is not JSON.
    """
    content = read_bounded(path, most_bytes=most_bytes, error=error)
    return parse_json(content, where=path_text(path), error=error)


def parse_json(text: str | bytes, *, where: str, error: type[PipelineError] = ConfigError) -> Any:
    """Return the content of JSON text; `where` is its name in messages.

    Raises:
        error: if the text is not JSON or is nested too deeply.
    """
    try:
        return json.loads(text)
    except RecursionError as err:
        raise error("invalid JSON (nested too deeply); correct the file", where=where) from err
    except ValueError as err:
        raise error(f"invalid JSON ({err}); correct or restore the file", where=where) from err


def require_utf8(path: object, *, error: type[PipelineError] = ConfigError) -> None:
    """Raise `error` if a path is not UTF-8, which TOML, torch and TensorBoard require."""
    if utf8(str(path)) != str(path):
        raise error("path is not valid UTF-8; rename the file", where=path_text(path))


class OpenFile:
    """An open file that several threads can read, and that is closed when no longer referenced."""

    def __init__(self, path: Path, error: type[PipelineError]) -> None:
        self._file = open_file(path, error=error).detach()

    @property
    def stamp(self) -> Stamp:
        """Size and modification time."""
        return stamp_of(os.fstat(self._file.fileno()))

    def read(self, offset: int, size: int) -> bytes:
        """Return `size` bytes from an offset, or fewer at the end of the file."""
        return os.pread(self._file.fileno(), size, offset)

    def __del__(self) -> None:
        if hasattr(self, "_file"):
            self._file.close()


@cached(LRUCache(_MOST_OPEN), lock=RLock())
def open_stamped(path: Path, stamp: Stamp, error: type[PipelineError]) -> OpenFile:
    """Return an open file from a cache.

    Raises:
        error: if the file has a different stamp, or is not a readable regular file.
    """
    file = OpenFile(path, error)
    if file.stamp != stamp:
        raise error(changed(path))
    return file


def changed(path: Path) -> str:
    """Return the message for a file that is no longer the one that was opened."""
    return f"{path}: the file changed or disappeared since it was opened; run the command again"
