"""Bounded reads of small files from untrusted sources, which never block.

This module parses JSON of any kind. `config_from_dict` or a different pydantic model validates the
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
"""Default limit on the size of a file. Parsed JSON can take 25 times its size in memory (a list of
empty objects)."""


_READING = os.O_RDONLY
_APPENDING = os.O_RDWR | os.O_APPEND | os.O_CREAT | os.O_NOFOLLOW


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
        raise error(f"{path_text(path)}: {failed} ({err.strerror})") from err
    except ValueError as err:  # a NUL, or a lone surrogate
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
        error: see `read_bounded`; also if the content is not JSON.
    """
    content = read_bounded(path, most_bytes=most_bytes, error=error)
    return parse_json(content, source=path_text(path), error=error)


def parse_json(text: str | bytes, *, source: str, error: type[PipelineError] = ConfigError) -> Any:
    """Return the content of JSON text; `source` is its name in messages.

    Raises:
        error: if the text is not JSON or is nested too deeply.
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
