"""Decode all frames of a video file with PyAV. Headers are not trusted: frames are the ones that
can be decoded, numbered consecutively. A packet that cannot be decoded is skipped. A range is
decoded from the key frame before it if `frame_times` guarantees equal results, else from the first
frame. Rotation and mirroring are applied; non-square pixels are not resampled. Arguments and errors
are the same as for the functions in `read`.
"""

import logging
from collections.abc import Iterable, Iterator
from contextlib import suppress
from fractions import Fraction
from itertools import chain
from pathlib import Path

import av
import numpy as np
from av.container import InputContainer
from av.packet import Packet
from av.video.frame import VideoFrame
from av.video.stream import VideoStream
from numpy.typing import NDArray

from orn.shared.data_files import reason
from orn.shared.errors import VideoDecodeError
from orn.shared.text import counted
from orn.shared.time_ranges import MOST_SECONDS
from orn.shared.video.container import (
    DamageFound,
    PictureForm,
    all_pictures,
    opened_video,
    pictures_until_damage,
)
from orn.shared.video.frame import Frame, FrameEstimate, VideoInfo
from orn.shared.video.frame_times import (
    FrameTimes,
    frame_times,
    is_timed,
    read_first_headers,
)

logger = logging.getLogger(__name__)

_USUAL_RATE = 25.0
_LONGEST_TIE = 8
"""Maximum number of buffered pictures with equal times."""
_BELIEVED_FRAME_BYTES = 100
"""Minimum file size per declared frame; for smaller files, packets are counted, because the header
is not trusted. A static picture takes 30 to 70 bytes (x264, VP9), a typical one thousands."""


def probe_file(path: Path) -> VideoInfo:
    """Return the metadata of a file, and the size of its first decodable frame."""
    with opened_video(path) as (container, stream):
        for picture in all_pictures(path, container.demux(stream), stream):
            form = PictureForm.of(picture)
            height, width, _ = _image(path, form, picture).shape
            return VideoInfo(
                height=height,
                width=width,
                rate=_rate(path, stream),
                header_frames=stream.frames or None,
                sample_aspect=_sample_aspect(stream, form),
            )
    raise VideoDecodeError("no frame can be decoded", where=path)


def estimate_file(path: Path) -> FrameEstimate:
    """Return the approximate number of frames without decoding: from the header if the file is
    large enough, else from the number of packets."""
    with opened_video(path, skip_pictures=True) as (container, stream):
        rate, pixels = _rate(path, stream), stream.width * stream.height
        promised = stream.frames or round((_duration(container, stream) or 0.0) * rate)
        if 0 < promised <= (container.size or 0) // _BELIEVED_FRAME_BYTES:
            return FrameEstimate(frames=promised, rate=rate, pixels=pixels)
        frames = 0
        with suppress(av.FFmpegError, OSError):  # the readable packets
            for packet in container.demux(stream):
                frames += packet.size > 0
        return FrameEstimate(frames=frames, rate=rate, pixels=pixels)


def read_file(path: Path, *, start: int = 0) -> Iterator[Frame]:
    """Yield all decodable frames from `start` on, in the size of the first."""
    times = frame_times(path) if start else None
    following = start
    try:
        frames = _sought(path, times, start=start) if times else _from_first(path, start=start)
        for frame in frames:
            yield frame
            following += 1
    except DamageFound as sign:
        logger.debug("%s: decoding with one thread from the first frame (%s)", path, sign)
    else:
        return
    times = frame_times(path)
    if times is None:
        yield from _from_first(path, start=following, refuse_damage=False)
    else:
        yield from _damaged(path, times, start=following)


def _from_first(path: Path, *, start: int, refuse_damage: bool = True) -> Iterator[Frame]:
    """Yield the frames from `start` on, decoded from the first frame."""
    with opened_video(path, refuse_damage=refuse_damage) as (container, stream):
        packets = container.demux(stream)
        if refuse_damage:
            pictures = pictures_until_damage(packets, stream, timed=is_timed(container, stream))
        else:
            pictures = all_pictures(path, packets, stream)
        timed = _with_times(pictures, interval=1.0 / _rate(path, stream))
        form: PictureForm | None = None
        for index, (seconds, picture) in enumerate(timed):
            form = form or PictureForm.of(picture)
            if abs(seconds) > MOST_SECONDS:
                raise VideoDecodeError(
                    f"expected frame times up to {MOST_SECONDS:g} s, got {seconds:g} s "
                    f"for frame {index}; re-encode the video with `ffmpeg -i`",
                    where=path,
                )
            if index >= start:
                yield Frame(index=index, seconds=seconds, image=_image(path, form, picture))
        if form is None:
            raise DamageFound("no picture was decoded")


def _sought(path: Path, times: FrameTimes, *, start: int) -> Iterator[Frame]:
    """Yield the frames of a file with known times, decoded from the key frame before `start`.

    Raises:
        DamageFound: at the first frame that may differ from decoding the whole file.
    """
    stop = len(times.ticks)
    if start >= stop:
        return
    nearest_key = int(np.searchsorted(times.keys, start, side="right")) - 1
    for key in dict.fromkeys((nearest_key, 0)):
        with opened_video(path, refuse_damage=True) as (container, stream):
            packets = _packets_from(container, stream, times, key)
            if packets is None:
                logger.debug("%s: seeking did not find key frame %d", path, key)
                continue
            index = int(times.keys[key])
            for picture in pictures_until_damage(packets, stream, timed=False):
                if key and picture.pts is not None and picture.pts < times.ticks[times.keys[key]]:
                    continue  # displayed before the key frame but decoded after it
                if index != times.index_at(picture.pts):
                    break
                if index >= start:
                    yield _frame(path, times, index, picture)
                index += 1
                if index == stop:
                    return
        raise DamageFound(f"frame {index} is missing")


def _damaged(path: Path, times: FrameTimes, *, start: int) -> Iterator[Frame]:
    """Yield the frames of a damaged file with known times, from `start` on.

    A missing picture is replaced by the previous one, so that frame numbers agree with reads that
    start after the damage.
    """
    stop = len(times.ticks)
    following = repeated = 0
    latest: VideoFrame | None = None
    with opened_video(path) as (container, stream):
        for picture in chain(all_pictures(path, container.demux(stream), stream), (None,)):
            index = stop if picture is None else times.index_at(picture.pts)
            if index is None or index < following:
                continue
            for missing in range(following, min(index, stop)):
                repeated += 1
                if missing >= start and latest is not None:
                    yield _frame(path, times, missing, latest)
            if picture is not None and start <= index < stop:
                yield _frame(path, times, index, picture)
            following, latest = index + 1, picture
            if following >= stop:
                break
    if repeated:
        logger.warning(
            "%s: %s damaged and replaced by the preceding frame",
            path,
            counted(repeated, "frame is", "frames are"),
        )


def _frame(path: Path, times: FrameTimes, index: int, picture: VideoFrame) -> Frame:
    image = _image(path, times.form, picture)
    return Frame(index=index, seconds=float(times.seconds[index]), image=image)


def _packets_from(
    container: InputContainer, stream: VideoStream, times: FrameTimes, key: int
) -> Iterable[Packet] | None:
    """Return the packets starting at a key frame; None if seeking does not find it."""
    if key == 0:
        return container.demux(stream)
    ticks = int(times.ticks[times.keys[key]])
    with suppress(av.FFmpegError, OSError):
        read_first_headers(container, stream)
        container.seek(int(times.key_dts[key]), stream=stream)
        packets = container.demux(stream)
        for packet in packets:
            if packet.pts == ticks:
                return chain((packet,), packets)
    return None


def _image(path: Path, form: PictureForm, picture: VideoFrame) -> NDArray[np.uint8]:
    """Return an (H, W, 3) uint8 RGB array."""
    try:
        return form.image(picture)
    except (av.FFmpegError, ValueError) as err:
        raise VideoDecodeError(
            f"pixel format {picture.format.name} cannot be converted to RGB ({reason(err)})",
            where=path,
        ) from err


def _rate(path: Path, stream: VideoStream) -> float:
    for rate in (stream.average_rate, stream.guessed_rate, stream.base_rate):
        if rate:
            return float(rate)
    logger.warning("%s: unknown frame rate; assuming %g frames per second", path, _USUAL_RATE)
    return _USUAL_RATE


def _duration(container: InputContainer, stream: VideoStream) -> float | None:
    if stream.duration is not None and stream.time_base is not None:
        return float(stream.duration * stream.time_base)
    return None if container.duration is None else container.duration / av.time_base


def _sample_aspect(stream: VideoStream, form: PictureForm) -> Fraction | None:
    """Return the pixel aspect ratio of an upright frame."""
    aspect = stream.sample_aspect_ratio
    if not aspect:
        return None
    upright = Fraction(aspect.numerator, aspect.denominator)
    return 1 / upright if form.is_turned else upright


def _with_times(
    pictures: Iterable[VideoFrame], *, interval: float
) -> Iterator[tuple[float, VideoFrame]]:
    """Yield pictures with increasing times.

    Pictures with equal times are spread evenly until the next time, so that later pictures keep
    their times. Other invalid times are repaired one by one.
    """
    before: float | None = None
    is_own = False
    tied: list[VideoFrame] = []
    for picture in chain(pictures, (None,)):
        seconds = None if picture is None else picture.time
        if picture is not None and is_own and seconds == before and len(tied) < _LONGEST_TIE:
            tied.append(picture)
            continue
        step = interval
        if before is not None and seconds is not None and seconds > before:
            step = min(interval, (seconds - before) / (len(tied) + 1))
        for earlier in tied:
            assert before is not None  # pictures with equal times have a time
            before = _repaired(before + step, before=before, interval=interval)
            yield before, earlier
        tied.clear()
        if picture is not None:
            before = _repaired(seconds, before=before, interval=interval)
            is_own = before == seconds
            yield before, picture


def _repaired(seconds: float | None, *, before: float | None, interval: float) -> float:
    """Return the time, or the previous time plus one interval if it is missing or not later."""
    if before is None:
        return 0.0 if seconds is None else seconds
    return before + interval if seconds is None or seconds <= before else seconds
