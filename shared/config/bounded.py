"""Files from others that are meant to be small: opened without waiting, read to a bound, and
refused in one sentence.

JSON of any kind is parsed here; what it has to hold is checked by `config_from_dict` or another
pydantic model, whose refusals `orn.shared.config.fields.explain` says.
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
"""Largest file that is read unless its reader says otherwise; JSON takes up to 25 times its size in
memory, as a list of empty tables does."""


_READING = os.O_RDONLY
_APPENDING = os.O_RDWR | os.O_APPEND | os.O_CREAT | os.O_NOFOLLOW


def open_file(path: Path, *, error: type[PipelineError] = ConfigError) -> io.BufferedReader:
    """Open an existing file for reading bytes.

    Folders, pipes, devices and sockets are refused, and never waited for.

    Raises:
        error: in one sentence, from the `OSError` where there was one.
    """
    return os.fdopen(_descriptor(path, _READING, "cannot be read", error), "rb")


def open_to_append(path: Path, *, error: type[PipelineError] = PipelineError) -> io.BufferedRandom:
    """Open a file, made where there is none, for reading and for writing at its end.

    A link is not followed, since what it leads to would be written; pipes are not waited for.

    Raises:
        error: in one sentence, from the `OSError` where there was one.
    """
    return os.fdopen(_descriptor(path, _APPENDING, "could not be written", error), "ab+")


def _descriptor(path: Path, flags: int, failed: str, error: type[PipelineError]) -> int:
    try:
        descriptor = os.open(path, flags | os.O_NONBLOCK, 0o666)
    except OSError as err:
        raise error(f"{path_text(path)}: {failed} ({err.strerror})") from err
    except ValueError as err:  # a NUL, or half a surrogate pair
        raise error(f"{path_text(path)}: is no name that a file can have") from err
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
        path: need not exist.
        most_bytes: a larger file is not read.
        error: what to raise.

    Raises:
        error: if it is absent, unreadable, no file, or larger.
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
    """Return `sha256:` and the digest of a file of any size; raises as `open_file`, and if the disk
    fails."""
    with open_file(path, error=error) as file:
        try:
            return f"sha256:{hashlib.file_digest(file, 'sha256').hexdigest()}"
        except OSError as err:
            raise error(f"{path_text(path)}: cannot be read ({err.strerror})") from err


def read_json(
    path: Path, *, most_bytes: int = MOST_BYTES, error: type[PipelineError] = ConfigError
) -> Any:
    """Return the content of a JSON file; raises as `read_bounded`, and if it is no JSON."""
    content = read_bounded(path, most_bytes=most_bytes, error=error)
    return parse_json(content, source=path_text(path), error=error)


def parse_json(text: str | bytes, *, source: str, error: type[PipelineError] = ConfigError) -> Any:
    """Return the content of JSON text; `source` says in messages where it is from.

    Raises:
        error: if it is no JSON, or nested too deeply.
    """
    try:
        return json.loads(text)
    except RecursionError as err:
        raise error(f"{source}: is not JSON that can be read (nested too deeply)") from err
    except ValueError as err:
        raise error(f"{source}: is not JSON ({err})") from err


def require_utf8(path: object, *, error: type[PipelineError] = ConfigError) -> None:
    """Raise `error` if a path is not UTF-8: TOML, torch and TensorBoard take no other."""
    if utf8(str(path)) != str(path):
        raise error(f"{path_text(path)}: expected a path in UTF-8, got other bytes; rename it")
