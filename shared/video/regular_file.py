"""Files that may be opened: regular ones, since a pipe or a device may never come to an end."""

import os
import stat
from pathlib import Path

from shared.data_files import kind_of
from shared.errors import VideoDecodeError


def regular_status(path: Path) -> os.stat_result:
    """The status of a regular file, or of the one that a link leads to; opens nothing.

    Raises:
        VideoDecodeError: if there is none, or it is of another kind.
    """
    try:
        status = path.stat()
    except (OSError, ValueError) as err:  # ValueError: a NUL in the name
        raise VideoDecodeError(f"{path}: cannot be opened ({reason(err)})") from err
    if not stat.S_ISREG(status.st_mode):
        raise VideoDecodeError(
            f"{path}: wanted a regular file, found {kind_of(status.st_mode)}; it is not opened"
        )
    return status


def reason(err: BaseException) -> str:
    """What an error of FFmpeg or of the system says, in a few words."""
    return getattr(err, "strerror", None) or str(err) or type(err).__name__
