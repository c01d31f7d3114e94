"""A video file opened for decoding: its best video stream, and what is wrong where it has none."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import av
from av.container import InputContainer
from av.video.stream import VideoStream

from shared.errors import VideoDecodeError

__all__ = ["READING_OPTIONS", "opened_video", "reason"]

READING_OPTIONS: dict[str, Any] = (
    {"metadata_errors": "ignore"} if int(av.__version__.partition(".")[0]) < 19 else {}
)
"""Options of `av.open`: titles that are not UTF-8 are no error, as they never are in PyAV 19."""
_NUM_THREADS = 4
"""Fixed, because what a decoder makes of damaged pictures depends on the number of its threads."""


@contextmanager
def opened_video(path: Path) -> Iterator[tuple[InputContainer, VideoStream]]:
    """The container and its best video stream, ready to decode.

    Of several streams the best is FFmpeg's choice: a film before a cover picture, then the one
    with most pixels.

    Raises:
        VideoDecodeError: if the file cannot be opened, has no video stream, or one without decoder.
    """
    try:
        # The absolute path, because FFmpeg takes "a:b" for a protocol and a name.
        container = av.open(str(path.absolute()), **READING_OPTIONS)
    except (av.FFmpegError, OSError, ValueError) as err:
        raise VideoDecodeError(f"{path}: cannot be opened ({reason(err)})") from err
    with container:
        stream = container.streams.best("video")
        if not isinstance(stream, VideoStream):
            raise VideoDecodeError(f"{path}: has no video stream")
        if stream.codec_context is None:  # PyAV has then no name for the codec either
            raise VideoDecodeError(
                f"{path}: FFmpeg {av.ffmpeg_version_info} has no decoder for its codec; "
                "convert it, to H.264 for example"
            )
        stream.thread_type = "AUTO"
        stream.codec_context.thread_count = _NUM_THREADS
        yield container, stream


def reason(err: BaseException) -> str:
    """What an error of FFmpeg or of the system says, in a few words."""
    return getattr(err, "strerror", None) or str(err)
