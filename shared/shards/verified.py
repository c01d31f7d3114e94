"""Which shards have been verified whole, so that each is once, before it is first trained on.

A shard is remembered by the SHA-256 of its ZIP directory, which has the CRC-32, the size and the
place of every member; the digest stands for all that the shard holds, wherever the file lies. A
chunk that changes later is found when it is read, by its own checksum. `orn detect` records the
shards that it writes, whose detections it has held against the same rules.

The record is a line a shard, added at the end, in the folder of the shards; where that cannot be
written to, in the user's cache. It is never needed: without it shards are verified again.
"""

import hashlib
import logging
import os
import re
import struct
from collections.abc import Mapping, Sequence
from pathlib import Path

from orn.shared.config.bounded import open_to_append, shown
from orn.shared.errors import PipelineError, ShardFormatError, ShardNotFoundError
from orn.shared.jobs.progress import Bar
from orn.shared.shards.verify import verify_shards

logger = logging.getLogger(__name__)

RECORD_NAME = "shards.verified.txt"
_RULES = "rules-1"
"""Rules that were held against a shard; a release with more of them verifies again."""
_LINE = re.compile(rf"^{_RULES} (?P<digest>[0-9a-f]{{64}}) ", re.MULTILINE)
_MOST_RECORD_BYTES = 128 * 2**20
_MOST_TAIL_BYTES = 32 * 2**20
_TAIL_BYTES = 64 * 2**10
"""What is read first: the directory of a shard of 100 MB fits into it."""
_END = b"PK\x05\x06"


def unverified(paths: Sequence[Path]) -> dict[Path, str]:
    """The shards that no record has, with their digests.

    Raises:
        ShardNotFoundError: if a shard is not there.
        ShardFormatError: if one is no ZIP file.
    """
    known = _read(_cached_record())
    for folder in dict.fromkeys(path.parent for path in paths):
        known |= _read(folder / RECORD_NAME)
    digests = {path: shard_digest(path) for path in paths}
    return {path: digest for path, digest in digests.items() if digest not in known}


def verify_all(shards: Mapping[Path, str], *, workers: int, bar: Bar) -> None:
    """Verifies shards and records each that is whole.

    Args:
        shards: as `unverified` gives them.
        workers: most processes.
        bar: told of each shard.

    Raises:
        ShardFormatError: at the first shard that is not whole; says what is wrong with it.
        PipelineError: if a worker ends abruptly.
    """
    for path, problems in verify_shards(
        tuple(shards), workers=workers, kept="; shards that were whole are remembered"
    ):
        for problem in problems:
            array = f"array {problem.array!r}: " if problem.array else ""
            raise ShardFormatError(
                f"{path}: {array}{problem.message}; remove it and run what wrote it again (`orn "
                f"verify {path.parent}` looks at all shards; training looks at none with "
                "--no-verify-shards)"
            )
        _append(path, shards[path])
        bar.advance()


def record_verified(path: Path) -> None:
    """Records a shard as whole that was just written, from detections that break no rule.

    Raises:
        ShardNotFoundError: if it is not there.
        ShardFormatError: if it is no ZIP file.
    """
    _append(path, shard_digest(path))


def _append(path: Path, digest: str) -> None:
    line = f"{_RULES} {digest} {shown(path.name)}\n"
    for record in (path.parent / RECORD_NAME, _cached_record()):
        try:
            record.parent.mkdir(parents=True, exist_ok=True)
            with open_to_append(record) as file:
                file.write(line.encode(errors="backslashreplace"))
            return
        except (OSError, PipelineError) as err:
            logger.debug("%s: goes without a line (%s)", record, err)


def _cached_record() -> Path:
    folder = os.environ.get("XDG_CACHE_HOME") or "~/.cache"
    return Path(folder).expanduser() / "orn" / RECORD_NAME


def _read(record: Path) -> set[str]:
    """The digests in a record; none where there is none that can be read."""
    try:
        if not record.is_file() or record.stat().st_size > _MOST_RECORD_BYTES:
            return set()
        return set(_LINE.findall(record.read_text(encoding="utf-8", errors="replace")))
    except OSError as err:
        logger.debug("%s: not used (%s)", record, err)
        return set()


def shard_digest(path: Path) -> str:
    """SHA-256, in hexadecimal digits, of what stands after the members of the ZIP file; equal only
    for shards that hold the same.

    Raises:
        ShardNotFoundError: if it is not there.
        ShardFormatError: if it is no ZIP file.
    """
    try:
        if path.exists() and not path.is_file():
            raise ShardFormatError(f"{path}: wanted a shard, which is a file, found none")
        with path.open("rb") as file:
            size = os.fstat(file.fileno()).st_size
            file.seek(max(0, size - _TAIL_BYTES))
            tail = file.read()
            end = tail.rfind(_END)
            if end < 0 or len(tail) - end < 16:
                raise ShardFormatError(f"{path}: not a whole shard (no end of a ZIP file)")
            (directory,) = struct.unpack_from("<I", tail, end + 12)
            wanted = min(directory + len(tail) - end, _MOST_TAIL_BYTES, size)
            if wanted > len(tail):
                file.seek(size - wanted)
                tail = file.read()
            return hashlib.sha256(size.to_bytes(8, "big") + tail[-wanted:]).hexdigest()
    except FileNotFoundError as err:
        raise ShardNotFoundError(f"{path}: no such shard") from err
    except OSError as err:
        raise ShardFormatError(f"{path}: cannot be read ({err.strerror or err})") from err
