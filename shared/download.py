"""Download of published weights to the cache of torch.hub. The name of a published file ends in the
first digits of its SHA-256, which are verified after the download and before each use. The variable
`ORN_WEIGHTS_MIRROR` sets a mirror, such as `http://mirror.local/weights`, or a folder.
"""

import hashlib
import logging
import os
import re
from http.client import HTTPException
from pathlib import Path
from typing import BinaryIO
from urllib.error import HTTPError, URLError
from urllib.parse import urlsplit
from urllib.request import Request, urlopen

from orn.shared.data_files import file_digest
from orn.shared.errors import PipelineError
from orn.shared.jobs.atomic_file import is_locked, locked, remove_temporaries, temporary_file
from orn.shared.jobs.progress import progress
from orn.shared.jobs.workers import terminated_as_interrupted

logger = logging.getLogger(__name__)

_MIRROR_VARIABLE = "ORN_WEIGHTS_MIRROR"
_DIGITS = re.compile(r".+-([0-9a-f]{8,64})\.[^.]+")
_TIMEOUT_SECONDS = 30.0
"""Timeout for a response from the server."""
_MOST_BYTES = 4 * 10**9
"""Maximum size of a file, of which a server need not tell the length."""
_PART_BYTES = 10**6


def cache_folder() -> Path:
    """Return torch.hub's folder of weights, which depends on `TORCH_HOME`."""
    import torch.hub

    return Path(torch.hub.get_dir()) / "checkpoints"


def cached_path(url: str) -> Path:
    """Return the path in the cache of the file at a URL."""
    return cache_folder() / _name(url)


def fetch(
    url: str,
    *,
    what: str,
    remedy: str,
    error: type[PipelineError],
) -> Path:
    """Return the cached file of a URL, after downloading it if necessary.

    If several processes request the same file, one downloads it and the others wait.

    Args:
        url: ends in `-DIGITS.SUFFIX`, with at least eight digits of the SHA-256.
        what: description of the file, for messages.
        remedy: alternative for the user, as a clause for messages.
        error: type of the error.

    Raises:
        error: if the download fails or the file has a different SHA-256.
    """
    path, match = cached_path(url), _DIGITS.fullmatch(_name(url))
    if match is None:
        raise error(
            f"{what}: expected a URL whose file name ends in SHA-256 digits, got {url}; download "
            f"the file yourself and {remedy}"
        )
    digits = match[1]
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
        _download(source, path, digits=digits)
    except (OSError, HTTPException, ValueError, PipelineError) as err:
        raise error(
            f"{what}: download from {source} failed ({_reason(err)}); download the file elsewhere "
            f"and put it into {path.parent}, or {remedy}"
        ) from err
    return path


def _download(source: str, path: Path, *, digits: str) -> None:
    if is_locked(path):
        logger.info("%s: waiting for the download by another process", path)
    with locked(path, job="orn", wait=True), terminated_as_interrupted():
        if path.exists():
            return
        logger.info("downloading %s to %s", source, path.parent)
        remove_temporaries(path)  # of a process that was killed
        request = Request(source, headers={"User-Agent": "orn"})
        with (
            urlopen(request, timeout=_TIMEOUT_SECONDS) as response,
            temporary_file(path) as temporary,
        ):
            digest = _copy(response, temporary, name=path.name)
            if not digest.startswith(digits):
                raise PipelineError(
                    f"truncated or not the expected file: expected {digits}..., got {digest}"
                )
            temporary.replace(path)


def _copy(response: BinaryIO, path: Path, *, name: str) -> str:
    """Write a response of at most `_MOST_BYTES` to a file, and return its SHA-256."""
    sha256, num_bytes = hashlib.sha256(), 0
    with path.open("wb") as file, progress(name, total=None, unit="MB", terminal=False) as lines:
        while part := response.read(_PART_BYTES):
            num_bytes += len(part)
            if num_bytes > _MOST_BYTES:
                raise PipelineError(f"expected at most {_MOST_BYTES:,} bytes, got more")
            file.write(part)
            sha256.update(part)
            lines.advance()
    return sha256.hexdigest()


def _name(url: str) -> str:
    return urlsplit(url).path.rpartition("/")[2]


def _source(url: str) -> str:
    mirror = os.environ.get(_MIRROR_VARIABLE)
    if mirror and "://" not in mirror:
        mirror = Path(mirror).absolute().as_uri()
    return f"{mirror.rstrip('/')}/{_name(url)}" if mirror else url


def _reason(err: Exception) -> str:
    """Return the short message of an error."""
    if isinstance(err, URLError) and not isinstance(err, HTTPError):
        return str(err.reason)
    if isinstance(err, OSError) and err.strerror:
        return err.strerror if err.filename is None else f"{err.filename}: {err.strerror}"
    return str(err) or type(err).__name__
