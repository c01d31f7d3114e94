"""Digests of long videos, each of which is read once a job, by whichever process needs it first.

Beside the shards lies a line for each: a digest of what its files are known by (path, size, time of
change, number on the disk), and that of their content. A process that needs one waits while another
reads the same video. The record is never needed: without it, videos are read again.
"""

import fcntl
import logging
import os
import re
from contextlib import suppress
from pathlib import Path

from orn.shared.config.bounded import open_to_append
from orn.shared.errors import PipelineError
from orn.shared.video.read import content_digest, content_state

logger = logging.getLogger(__name__)

DIGESTS_NAME = ".digests.txt"
_LINE = re.compile(rb"([0-9a-f]{64}) (sha256:[0-9a-f]{64})\n")
_MOST_BYTES = 2**24


def digest_once(video: Path, folder: Path) -> str:
    """`content_digest` of a video; `folder` is where the shards go.

    Raises:
        VideoDecodeError: if it cannot be read.
    """
    state = content_state(video)
    try:
        record = open_to_append(folder / DIGESTS_NAME)
    except PipelineError as err:
        logger.debug("%s: its digest goes unrecorded (%s)", video, err)
        return content_digest(video)
    with record:
        with suppress(OSError):  # a disk without locks
            fcntl.lockf(record, fcntl.LOCK_EX, 1, int(state[:15], 16))
        record.seek(0)
        known = dict(_LINE.findall(record.read(_MOST_BYTES)))
        if found := known.get(state.encode()):
            return found.decode()
        digest = content_digest(video)
        with suppress(OSError):
            os.write(record.fileno(), f"{state} {digest}\n".encode())
        return digest
