"""What readers of videos make of odd files: the table in `docs/odd_videos.md`.

    python -m orn.benchmarks.odd_videos FOLDER

FOLDER holds the sample files in `normal/` and `odd/`. Measured are the installed OpenCV, a plain
loop over PyAV's `container.decode`, and this project.
"""

import contextlib
import os
from collections.abc import Iterator
from itertools import pairwise
from pathlib import Path

import av
import click
import cv2
from av.video.frame import VideoFrame

from orn.shared.errors import VideoDecodeError
from orn.shared.video.container import READING_OPTIONS
from orn.shared.video.read import probe, read_frames
from orn.shared.video.reader import VideoTimes

FILES: dict[str, str] = {
    "normal/decord__flipping_a_pancake.mkv": "Matroska whose header counts no frames",
    "normal/mmaction2__part_0_pool.mp4": "MP4 with pixels that are not square",
    "normal/mmaction2__test_ucf101_ApplyEyeMakeup_g01_c01.avi": "MPEG-4 with B-frames in AVI",
    "odd/decord__video_90.mov": "MOV to be shown a quarter turn rotated (stored 568 x 320)",
    "odd/decord__video_180.mov": "MOV to be shown upside down",
    "odd/decord__corrupted.mp4": "MP4 with one packet of 50 that cannot be decoded",
    "odd/moviepy__no_duration.webm": "WebM without duration and frame count, uneven times",
    "odd/moviepy__result_0byte.webm": "An empty file",
    "odd/moviepy__bitmap_1x1.mp4": "MP4 of one pixel",
    "odd/moviepy__transparent.webm": "VP9 with an alpha channel",
    "odd/mp4parse__chunk_out_of_range.mp4": "MP4 whose tables point outside of it",
    "odd/mp4parse__h264_white_frame_sar_16_9.mp4": "MP4 of one frame, wide pixels",
    "odd/mp4parse__short-cenc.mp4": "Encrypted MP4",
    "odd/gomp4__sample_qt.mp4": "MOV cut off before its first picture is whole",
    "odd/torchcodec__h264_10bits.mp4": "H.264 with 10 bits a channel",
    "odd/torchcodec__h265_video.mp4": "HEVC with pictures that precede their key frame",
    "odd/torchvision__RATRACE_wave.avi": "AVI with packed B-frames",
    "odd/torchvision__hmdb51_Pippi_cartwheel.avi": "The same, and names that are not UTF-8",
    "odd/dali__cfr.mpeg": "MPEG program stream, most pictures without a time",
    "odd/openshot__test1_interlaced.mp4": "Interlaced MP4, narrow pixels",
}
"""What each file is, by its place in the folder."""


def table(folder: Path) -> list[str]:
    """The rows of the table, header first."""
    rows = [f"| file | OpenCV {cv2.__version__} | plain PyAV {av.__version__} | ours |"]
    rows.append("|---|---|---|---|")
    with _quiet():
        for name, what in FILES.items():
            path = folder / name
            rows.append(f"| {what} | {_opencv(path)} | {_plain(path)} | {_ours(path)} |")
    return rows


def _opencv(path: Path) -> str:
    capture = cv2.VideoCapture(str(path))
    if not capture.isOpened():
        return "cannot open it"
    promised = int(capture.get(cv2.CAP_PROP_FRAME_COUNT))
    times: list[float] = []
    while capture.read()[0]:
        times.append(capture.get(cv2.CAP_PROP_POS_MSEC))
    capture.release()
    read = str(len(times)) if promised == len(times) else f"promises {promised}, reads {len(times)}"
    return f"{read}{_disorder(times)}"


def _plain(path: Path) -> str:
    times: list[float | None] = []
    try:
        with av.open(str(path)) as container:
            for frame in container.decode(video=0):
                times.append(frame.time)
    except (av.FFmpegError, UnicodeDecodeError) as err:
        found = f"{len(times)}, then " if times else ""
        return f"{found}`{type(err).__name__}`"
    missing = sum(time is None for time in times)
    without = f", {missing} without a time" if missing else ""
    return f"{len(times)}{without}{_disorder([time for time in times if time is not None])}"


def _ours(path: Path) -> str:
    try:
        info = probe(path)
        seconds = [frame.seconds for frame in read_frames(path)]
    except VideoDecodeError as err:
        return f"failed: {str(err).removeprefix(f'{path}: ').partition(' (')[0]}"
    parts = [str(len(seconds))]
    if info.header_frames not in (None, len(seconds)):
        parts = [f"{len(seconds)} of {info.header_frames}"]
    parts.append(f"{info.width} x {info.height}")
    if info.sample_aspect not in (None, 1):
        parts.append(f"pixels {info.sample_aspect.numerator}:{info.sample_aspect.denominator}")
    repaired = _repaired(path, seconds)
    if repaired:
        parts.append(f"{repaired} times repaired")
    parts.append("sought" if VideoTimes.of(path).seconds is not None else "from the first")
    return ", ".join(parts)


def _repaired(path: Path, seconds: list[float]) -> int:
    """Frames whose time is another than the decoder says."""
    times: list[float | None] = []
    with av.open(str(path), **READING_OPTIONS) as container:
        stream = container.streams.best("video")
        for packet in container.demux(stream):
            with contextlib.suppress(av.FFmpegError):
                times += [frame.time for frame in packet.decode() if isinstance(frame, VideoFrame)]
    return sum(found != wanted for found, wanted in zip(seconds, times, strict=True))


def _disorder(times: list[float]) -> str:
    wrong = sum(after <= before for before, after in pairwise(times))
    return f", {wrong} times not after the one before" if wrong else ""


@contextlib.contextmanager
def _quiet() -> Iterator[None]:
    """Without what the C libraries write to stderr."""
    kept = os.dup(2)
    with Path(os.devnull).open("wb") as nowhere:
        os.dup2(nowhere.fileno(), 2)
    try:
        yield
    finally:
        os.dup2(kept, 2)
        os.close(kept)


@click.command()
@click.argument("folder", type=click.Path(path_type=Path, exists=True, file_okay=False))
def main(folder: Path) -> None:
    """Print the table for the sample files in FOLDER."""
    click.echo("\n".join(table(folder)))


if __name__ == "__main__":
    main()
