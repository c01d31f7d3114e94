"""Published weights, fetched once into the cache of torch.hub: a file there is whole or absent.

The name of a published file ends in the first digits of its SHA-256, by which it is checked when it
arrives and whenever it is used. The variable `ORN_WEIGHTS_MIRROR` names another place that has the
files, such as `http://mirror.local/weights` or `file:///disk/weights`.
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
"""How long a server may be silent; torch sets no timeout."""


def cache_folder() -> Path:
    """Return the folder in which torch.hub keeps weights; `TORCH_HOME` moves it."""
    import torch.hub

    return Path(torch.hub.get_dir()) / "checkpoints"


def cached_path(url: str) -> Path:
    """Return where the file of an address lies in the cache once it is fetched."""
    return cache_folder() / _name(url)


def sha256_digits(url: str) -> str | None:
    """Return the digits of its SHA-256 in which a published file's name ends; None without any."""
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
    """Return the file of an address, downloaded if the cache does not have it.

    Of several processes that ask at once, one downloads and the others wait for it.

    Args:
        url: its last part ends in `-DIGITS.SUFFIX`, at least eight digits of its SHA-256.
        what: what the file is, for messages.
        remedy: what else the user can do with the file, as a clause.
        error: what to raise.
        timeout_seconds: how long the server may be silent.

    Raises:
        error: the file cannot be fetched, or what came, or lies in the cache, has another SHA-256.
    """
    path, digits = cached_path(url), sha256_digits(url)
    if digits is None:
        raise error(
            f"{what}: expected a name that ends in digits of a SHA-256, got {url}, which cannot be "
            f"checked; download that file and {remedy}"
        )
    if path.exists():
        digest = file_digest(path, error=error)
        if not digest.startswith(f"sha256:{digits}"):
            raise error(
                f"{path}: expected a SHA-256 that begins with {digits}, as in its name, got "
                f"{digest}; remove the file to have it fetched again"
            )
        return path
    source = _source(url)
    try:
        _download(source, path, digits=digits, timeout_seconds=timeout_seconds)
    except (OSError, HTTPException, RuntimeError, ValueError, PipelineError) as err:
        raise error(
            f"{what}: could not be fetched from {source} ({_reason(err)}); download that file "
            f"elsewhere and put it into {path.parent}, or {remedy}"
        ) from err
    return path


def _download(source: str, path: Path, *, digits: str, timeout_seconds: float) -> None:
    import torch.hub

    if is_locked(path):
        logger.info("%s: waiting for another process, which fetches it", path)
    with locked(path, job="orn", wait=True), terminated_as_interrupted():
        if path.exists():
            return
        logger.info("fetching %s to %s", source, path.parent)
        with _socket_timeout(timeout_seconds):
            torch.hub.download_url_to_file(
                source, str(path), hash_prefix=digits, progress=sys.stderr.isatty()
            )


@contextmanager
def _socket_timeout(seconds: float) -> Iterator[None]:
    """Sets the timeout of new sockets of this process, for which torch.hub has no argument."""
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
    """What went wrong, in a few words."""
    if isinstance(err, URLError) and not isinstance(err, HTTPError):
        return str(err.reason)
    if isinstance(err, OSError) and err.strerror:
        return err.strerror if err.filename is None else f"{err.filename}: {err.strerror}"
    if isinstance(err, RuntimeError):  # of torch.hub, about the hash
        return f"cut off, or another file: {err}"
    return str(err) or type(err).__name__
