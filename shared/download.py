"""Download of published weights to the cache of torch.hub. The name of a published file ends in the
first digits of its SHA-256, which are verified after the download and before each use. The variable
`ORN_WEIGHTS_MIRROR` sets a mirror, such as `http://mirror.local/weights` or `file:///disk/weights`.
"""

import logging
import os
import re
import socket
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from http.client import HTTPException
from pathlib import Path
from urllib.error import HTTPError, URLError
from urllib.parse import urlsplit

from orn.shared.config.bounded import file_digest
from orn.shared.errors import PipelineError
from orn.shared.jobs.lock import is_locked, locked
from orn.shared.jobs.termination import terminated_as_interrupted

logger = logging.getLogger(__name__)

_MIRROR_VARIABLE = "ORN_WEIGHTS_MIRROR"
_DIGITS = re.compile(r".+-([0-9a-f]{8,64})\.[^.]+")
_TIMEOUT_SECONDS = 30.0
"""Timeout for a response from the server; torch sets none."""


def cache_folder() -> Path:
    """Return torch.hub's folder of weights, which depends on `TORCH_HOME`."""
    import torch.hub

    return Path(torch.hub.get_dir()) / "checkpoints"


def cached_path(url: str) -> Path:
    """Return the path in the cache of the file at a URL."""
    return cache_folder() / _name(url)


def sha256_digits(url: str) -> str | None:
    """Return the SHA-256 digits at the end of a published file's name, or None."""
    match = _DIGITS.fullmatch(_name(url))
    return match and match[1]


def fetch(
    url: str,
    *,
    what: str,
    remedy: str,
    error: type[PipelineError],
    timeout_seconds: float = _TIMEOUT_SECONDS,
) -> Path:
    """Return the cached file of a URL, after downloading it if necessary.

    If several processes request the same file, one downloads it and the others wait.

    Args:
        url: ends in `-DIGITS.SUFFIX`, with at least eight digits of the SHA-256.
        what: description of the file, for messages.
        remedy: alternative for the user, as a clause for messages.
        error: type of the error.
        timeout_seconds: timeout for a response from the server.

    Raises:
        error: if the download fails or the file has a different SHA-256.
    """
    path, digits = cached_path(url), sha256_digits(url)
    if digits is None:
        raise error(
            f"{what}: expected a URL whose file name ends in SHA-256 digits, got {url}; download "
            f"the file yourself and {remedy}"
        )
    if path.exists():
        digest = file_digest(path, error=error)
        if not digest.startswith(f"sha256:{digits}"):
            raise error(
                f"{path}: expected SHA-256 {digits}..., got {digest}; remove the file and run the "
                "command again"
            )
        return path
    source = _source(url)
    try:
        _download(source, path, digits=digits, timeout_seconds=timeout_seconds)
    except (OSError, HTTPException, RuntimeError, ValueError, PipelineError) as err:
        raise error(
            f"{what}: download from {source} failed ({_reason(err)}); download the file elsewhere "
            f"and put it into {path.parent}, or {remedy}"
        ) from err
    return path


def _download(source: str, path: Path, *, digits: str, timeout_seconds: float) -> None:
    import torch.hub

    if is_locked(path):
        logger.info("%s: waiting for the download by another process", path)
    with locked(path, job="orn", wait=True), terminated_as_interrupted():
        if path.exists():
            return
        logger.info("downloading %s to %s", source, path.parent)
        with _socket_timeout(timeout_seconds):
            torch.hub.download_url_to_file(
                source, str(path), hash_prefix=digits, progress=sys.stderr.isatty()
            )


@contextmanager
def _socket_timeout(seconds: float) -> Iterator[None]:
    """Set the timeout of new sockets in this process; torch.hub has no argument for this."""
    before = socket.getdefaulttimeout()
    socket.setdefaulttimeout(seconds)
    try:
        yield
    finally:
        socket.setdefaulttimeout(before)


def _name(url: str) -> str:
    return urlsplit(url).path.rpartition("/")[2]


def _source(url: str) -> str:
    mirror = os.environ.get(_MIRROR_VARIABLE)
    return f"{mirror.rstrip('/')}/{_name(url)}" if mirror else url


def _reason(err: Exception) -> str:
    """Return the short message of an error."""
    if isinstance(err, URLError) and not isinstance(err, HTTPError):
        return str(err.reason)
    if isinstance(err, OSError) and err.strerror:
        return err.strerror if err.filename is None else f"{err.filename}: {err.strerror}"
    if isinstance(err, RuntimeError):  # raised by torch.hub for a wrong hash
        return f"truncated or not the expected file: {err}"
    return str(err) or type(err).__name__
