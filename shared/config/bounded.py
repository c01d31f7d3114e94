"""Bounded reads of small files from untrusted sources, which never block.

This module parses JSON of any kind. `config_from_dict` or another pydantic model validates the
content, and `orn.shared.config.fields.explain` formats the errors.
"""

import hashlib
import io
import json
import os
import stat
from pathlib import Path
from typing import Any

from orn.shared.data_files import kind_of
from orn.shared.errors import ConfigError, PipelineError
from orn.shared.text import path_text, utf8

MOST_BYTES = 16 << 20
"""Default limit of a file's size. Parsed JSON takes up to 25 times its size in memory (a list of
empty objects)."""


_READING = os.O_RDONLY
_APPENDING = os.O_RDWR | os.O_APPEND | os.O_CREAT | os.O_NOFOLLOW


def open_file(path: Path, *, error: type[PipelineError] = ConfigError) -> io.BufferedReader:
    """Open an existing regular file for reading bytes, without blocking on a pipe or device.

    Raises:
        error: if there is no regular file or it cannot be opened.
    """
    return os.fdopen(_descriptor(path, _READING, "cannot be read", error), "rb")


def open_to_append(path: Path, *, error: type[PipelineError] = PipelineError) -> io.BufferedRandom:
    """Open or create a regular file for reading and appending.

    Symbolic links are rejected, since their target would be written.

    Raises:
        error: if the file cannot be opened or created.
    """
    return os.fdopen(_descriptor(path, _APPENDING, "could not be written", error), "ab+")


def _descriptor(path: Path, flags: int, failed: str, error: type[PipelineError]) -> int:
    try:
        descriptor = os.open(path, flags | os.O_NONBLOCK, 0o666)
    except OSError as err:
        raise error(f"{path_text(path)}: {failed} ({err.strerror})") from err
    except ValueError as err:  # a NUL, or half a surrogate pair
        raise error(f"{path_text(path)}: not a valid file name; choose a different one") from err
    mode = os.fstat(descriptor).st_mode
    if not stat.S_ISREG(mode):
        os.close(descriptor)
        raise error(f"{path_text(path)}: expected a file, got {kind_of(mode)}")
    return descriptor


def read_bounded(
    path: Path, *, most_bytes: int = MOST_BYTES, error: type[PipelineError] = ConfigError
) -> bytes:
    """Return all bytes of a file.

    Args:
        path: the file.
        most_bytes: limit of its size.
        error: type of the error.

    Raises:
        error: if there is no readable regular file or it exceeds the limit.
    """
    with open_file(path, error=error) as file:
        try:
            size = os.fstat(file.fileno()).st_size
            content = file.read(most_bytes + 1) if size <= most_bytes else b""
        except OSError as err:
            raise error(f"{path_text(path)}: cannot be read ({err.strerror})") from err
    if max(size, len(content)) > most_bytes:
        raise error(f"{path_text(path)}: expected at most {most_bytes:,} bytes, got {size:,}")
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
            raise error(f"{path_text(path)}: cannot be read ({err.strerror})") from err


def read_json(
    path: Path, *, most_bytes: int = MOST_BYTES, error: type[PipelineError] = ConfigError
) -> Any:
    """Return the content of a JSON file.

    Raises:
        error: as `read_bounded`, and if the content is not JSON.
    """
    content = read_bounded(path, most_bytes=most_bytes, error=error)
    return parse_json(content, source=path_text(path), error=error)


def parse_json(text: str | bytes, *, source: str, error: type[PipelineError] = ConfigError) -> Any:
    """Return the content of JSON text; `source` names it in messages.

    Raises:
        error: if it is not JSON or nested too deeply.
    """
    try:
        return json.loads(text)
    except RecursionError as err:
        raise error(f"{source}: invalid JSON (nested too deeply)") from err
    except ValueError as err:
        raise error(f"{source}: invalid JSON ({err})") from err


def require_utf8(path: object, *, error: type[PipelineError] = ConfigError) -> None:
    """Raise `error` if a path is not UTF-8, which TOML, torch and TensorBoard require."""
    if utf8(str(path)) != str(path):
        raise error(f"{path_text(path)}: path is not valid UTF-8; rename the file")
