"""Download of published weights to the cache of torch.hub. The name of a published file ends in the
first digits of its SHA-256, which are verified after the download and before each use.
"""

import logging
import re
from http.client import HTTPException
from pathlib import Path
from urllib.parse import urlsplit
from urllib.request import Request, urlopen

from orn.shared.data_files import file_digest
from orn.shared.errors import PipelineError
from orn.shared.jobs.atomic_file import remove_stale_temporaries, temporary_file

logger = logging.getLogger(__name__)

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
    return cache_folder() / urlsplit(url).path.rpartition("/")[2]


def fetch(
    url: str,
    *,
    what: str,
    remedy: str,
    error: type[PipelineError],
) -> Path:
    """Return the cached file of a URL, after downloading it if necessary.

    Args:
        url: ends in `-DIGITS.SUFFIX`, with at least eight digits of the SHA-256.
        what: description of the file, for messages.
        remedy: alternative for the user, as a clause for messages.
        error: type of the error.

    Raises:
        error: if the download fails or the file has a different SHA-256.
    """
    path = cached_path(url)
    match = _DIGITS.fullmatch(path.name)
    if match is None:
        raise error(
            f"{what}: expected a URL whose file name ends in SHA-256 digits, got {url}; download "
            f"the file yourself and {remedy}"
        )
    if path.exists():
        digest = file_digest(path, error=error)
        if not digest.startswith(f"sha256:{match[1]}"):
            raise error(
                f"{path}: expected SHA-256 {match[1]}..., got {digest}; remove the file and run "
                "the command again"
            )
        return path
    try:
        _download(url, path, digits=match[1])
    except (OSError, HTTPException, ValueError, PipelineError) as err:
        reason = str(err) or type(err).__name__
        raise error(
            f"{what}: download from {url} failed ({reason}); download the file elsewhere "
            f"and put it into {path.parent}, or {remedy}"
        ) from err
    return path


def _download(url: str, path: Path, *, digits: str) -> None:
    """Several processes may download a file at once; each replaces it by the same content."""
    remove_stale_temporaries(path.parent)  # of a process that was killed
    request = Request(url, headers={"User-Agent": "orn"})
    with urlopen(request, timeout=_TIMEOUT_SECONDS) as response, temporary_file(path) as temporary:
        num_bytes = int(response.headers.get("Content-Length") or 0)
        logger.info("downloading %s (%.0f MB) to %s", url, num_bytes / 1e6, path.parent)
        with temporary.open("wb") as file:
            while part := response.read(_PART_BYTES):
                file.write(part)
                if file.tell() > _MOST_BYTES:
                    raise PipelineError(f"expected at most {_MOST_BYTES:,} bytes, got more")
        digest = file_digest(temporary)
        if not digest.startswith(f"sha256:{digits}"):
            raise PipelineError(
                f"truncated or not the expected file: expected {digits}..., got {digest}"
            )
        temporary.replace(path)
