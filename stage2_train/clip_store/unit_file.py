"""Atomic writing of a file of a clip store."""

import io
import zlib
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field, replace
from itertools import islice
from pathlib import Path
from tempfile import TemporaryFile
from typing import Any, BinaryIO

import h5py
import numpy as np
from numpy.typing import NDArray

from orn.data_manifests.records import Video
from orn.shared.data_files import Stamp
from orn.shared.errors import VideoDecodeError
from orn.shared.jobs.atomic_file import replacing
from orn.shared.text import counted, utf8
from orn.shared.time_ranges import TimeRanges
from orn.shared.video.frame import at_rate, within
from orn.shared.video.read import (
    Frame,
    content_digest,
    content_stamp,
    read_frames,
    seconds_of_frames,
)
from orn.stage2_train.clip_store.center_frames import frames_at, frames_of_segments
from orn.stage2_train.clip_store.frame_maps import MAPPED_FRAMES, FrameMapper
from orn.stage2_train.clip_store.jpeg import decode_jpeg, encode_frame, rescaled
from orn.stage2_train.clip_store.motion_windows import MotionWindows
from orn.stage2_train.clip_store.store_format import (
    FRAME_ROW,
    MAP_DTYPE,
    RECORDS,
    ClipFileRecord,
    FailedClip,
    StoredClip,
    StoredVideo,
    StoreSettings,
    map_bytes,
)
from orn.stage2_train.clip_store.surroundings import WatchedFrames, WindowMaps

_BLOCK_BYTES = 2**22
"""Size of the blocks in which JPEG data is copied."""
_CHUNK_BYTES = 2**15
_REASON_LETTERS = 1000
_NOT_STORED = {"jpeg_offset", "frames_offset", "maps_offset", "motion_offset"}
"""Fields of the record that are read from HDF5."""


@dataclass(frozen=True, slots=True, eq=False)
class _EncodedFrame:
    """A frame of the file."""

    index: int
    seconds: float
    jpeg: bytes
    maps: Mapping[str, bytes] = field(default_factory=dict)
    """Its maps by the name of their dataset."""

    def with_maps(self, maps: Mapping[str, NDArray[Any]]) -> "_EncodedFrame":
        """Return the frame with more maps."""
        added = {name: map_Chw.astype(MAP_DTYPE).tobytes() for name, map_Chw in maps.items()}
        return replace(self, maps={**self.maps, **added})


class ClipFileWriter:
    """Writer that collects videos for a file of a clip store."""

    def __init__(
        self, settings: StoreSettings, jpeg: BinaryIO, maps: Mapping[str, BinaryIO]
    ) -> None:
        """Initialize without videos; JPEG files, and maps by the name of their dataset, are
        buffered in the given files."""
        self.settings = settings
        self._jpeg, self._maps = jpeg, maps
        self._rows: list[NDArray[np.void]] = [np.zeros(0, FRAME_ROW)]
        self._videos: list[StoredVideo] = []
        self.failed: list[FailedClip] = []
        """Videos that could not be decoded."""

    def add(
        self,
        frames: Iterable[Frame],
        *,
        clips: Sequence[NDArray[np.int64]] = (),
        mapper: FrameMapper | None = None,
        **video: Any,
    ) -> None:
        """Add a video from all its frames: those that are selected by the rate and have a time in
        `video["times"]`, possibly none; or those of clips.

        Args:
            frames: the frames, in order of time; consumed lazily.
            clips: with `settings.clip_frames`, the indices of the frames of each of the times.
            mapper: computes their maps, if these are stored.
            video: fields of `StoredVideo` that cannot be derived from the frames.

        Raises:
            VideoDecodeError: if frames, or those of clips, cannot be decoded.
        """
        settings, times, (height, width) = self.settings, video["times"], self.settings.size
        rows, first_byte, size = [], self._jpeg.tell(), 0
        if settings.clip_frames is None:
            select = lambda frames: within(at_rate(frames, settings.rate), times)  # noqa: E731
        else:
            chosen = np.unique(np.concatenate(clips)).tolist()
            select = lambda frames: frames_at(frames, chosen)  # noqa: E731
        for frame in self._encoded(frames, select, mapper):
            crcs = [zlib.crc32(frame.maps.get(name, b"")) for name in ("maps", "motion")]
            row = (frame.index, frame.seconds, size, len(frame.jpeg), zlib.crc32(frame.jpeg), *crcs)
            rows.append(row)
            size += self._jpeg.write(frame.jpeg)
            for name, data in frame.maps.items():
                self._maps[name].write(data)
        rows_F = np.array(rows, FRAME_ROW)
        if clips and rows_F["index"].tolist() != chosen:
            raise VideoDecodeError(
                f"video {video['id']}: expected {counted(len(chosen), 'center frame')}, got "
                f"{len(rows_F)}; its header lists frames that cannot be decoded"
            )
        stored = StoredVideo(
            height=height,
            width=width,
            first_byte=first_byte,
            first_frame=sum(map(len, self._rows)),
            num_frames=len(rows_F),
            crc32=zlib.crc32(rows_F.tobytes()),
            clips=tuple(
                StoredClip(times=segment, frames=tuple(np.searchsorted(chosen, own).tolist()))
                for segment, own in zip(times.ranges, clips, strict=True)
            )
            if clips
            else (),
            **video,
        )
        self._videos.append(stored)
        self._rows.append(rows_F)

    def _encoded(
        self,
        frames: Iterable[Frame],
        select: Callable[[Iterable[Frame]], Iterator[Frame]],
        mapper: FrameMapper | None,
    ) -> Iterator[_EncodedFrame]:
        """Yield the selected frames, with their maps."""
        settings = self.settings
        watched = WatchedFrames(frames, _surroundings(settings, mapper))
        encoded = (
            _EncodedFrame(frame.index, frame.seconds, encode_frame(frame.image, settings))
            for frame in select(watched.frames)
        )
        described = watched.beside(encoded)
        encoded = (frame.with_maps(maps) for frame, maps in described)
        is_single = settings.maps is not None and settings.maps.window is None
        return _with_maps(encoded, mapper) if mapper is not None and is_single else encoded

    def write(self, file: h5py.File) -> None:
        """Write all videos to an empty file."""
        rows_F = np.concatenate(self._rows)
        file.create_dataset("frames", data=rows_F)
        jpeg = file.create_dataset("jpeg", shape=(self._jpeg.tell(),), dtype=np.uint8)
        for start, block in _blocks(self._jpeg, _BLOCK_BYTES):
            jpeg[start : start + len(block)] = np.frombuffer(block, np.uint8)
        for name, shape in self.settings.shapes.items():
            maps = file.create_dataset(name, shape=(len(rows_F), *shape), dtype=MAP_DTYPE)
            for start, block in _blocks(self._maps[name], map_bytes(shape)):
                frame = start // map_bytes(shape)
                maps[frame] = np.frombuffer(block, MAP_DTYPE).reshape(shape)
        record = ClipFileRecord(
            settings=self.settings, videos=tuple(self._videos), failed=tuple(self.failed)
        )
        text = RECORDS.dump_json(record, exclude=_NOT_STORED)
        file.create_dataset(
            "record",
            data=np.frombuffer(text, np.uint8),
            chunks=(min(len(text), _CHUNK_BYTES),),
            maxshape=(None,),
            fletcher32=True,
        )


def _blocks(file: BinaryIO, size: int) -> Iterator[tuple[int, bytes]]:
    """Yield the position and content of consecutive blocks of a file."""
    end = file.tell()
    file.seek(0)
    for start in range(0, end, size):
        yield start, file.read(size)


@contextmanager
def writing(path: Path, settings: StoreSettings) -> Iterator[ClipFileWriter]:
    """Yield a writer for a file that replaces `path` if the block ends without an exception.

    Raises:
        PipelineError: if the file cannot be written.
    """
    with (
        replacing(path) as temporary,
        TemporaryFile(dir=path.parent) as jpeg,
        ExitStack() as stack,
    ):
        maps = {
            name: stack.enter_context(TemporaryFile(dir=path.parent)) for name in settings.shapes
        }
        writer = ClipFileWriter(settings, jpeg, maps)
        yield writer
        with _Sink(temporary, "w+") as sink:
            with h5py.File(sink, "w", libver=("v110", "v110")) as file:
                writer.write(file)
            sink.check()


def write_unit_file(
    path: Path,
    videos: Iterable[tuple[Video, TimeRanges]],
    settings: StoreSettings,
    advance: Callable[[int], None] = lambda videos: None,
    *,
    mapper: FrameMapper | None = None,
) -> tuple[FailedClip, ...]:
    """Decode time ranges of videos, store them in a file, and return the videos that failed. Call
    `advance(1)` after each video. With `settings.maps`, `mapper` computes the maps.

    Raises:
        PipelineError: if the file cannot be written.
    """
    with writing(path, settings) as writer:
        for video, times in videos:
            stamp = source_stamp(video)
            try:
                clips = []
                if settings.clip_frames is not None:
                    seconds_F = seconds_of_frames(video.path, rate=video.rate)
                    clips = frames_of_segments(seconds_F, times.ranges, settings.clip_frames)
                writer.add(
                    read_frames(video.path, rate=video.rate),
                    clips=clips,
                    mapper=mapper,
                    id=video.id,
                    source_digest=content_digest(video.path),
                    source=stamp,
                    rate=video.rate,
                    times=times,
                )
            except VideoDecodeError as err:
                reason = utf8(str(err))[:_REASON_LETTERS]
                writer.failed.append(FailedClip(id=video.id, reason=reason, source=stamp))
            advance(1)
    return tuple(writer.failed)


def source_stamp(video: Video) -> Stamp:
    """Return the `content_stamp` of a video; -1 if it is missing."""
    try:
        return content_stamp(video.path)
    except VideoDecodeError:
        return (-1, -1)


def _with_maps(frames: Iterator[_EncodedFrame], mapper: FrameMapper) -> Iterator[_EncodedFrame]:
    """Yield frames with their maps, which are computed from the pixels of the JPEG file."""
    while batch := tuple(islice(frames, MAPPED_FRAMES)):
        maps_MChw = mapper(np.stack([decode_jpeg(frame.jpeg) for frame in batch]))
        for frame, map_Chw in zip(batch, maps_MChw, strict=True):
            yield frame.with_maps({"maps": map_Chw})


def _surroundings(
    settings: StoreSettings, mapper: FrameMapper | None
) -> Mapping[str, MotionWindows | WindowMaps]:
    """Return what describes frames by the frames around them, by the name of the dataset."""
    described: dict[str, MotionWindows | WindowMaps] = {}
    if settings.motion is not None:
        described["motion"] = MotionWindows(settings.motion)
    if mapper is not None and settings.maps is not None and settings.maps.window is not None:
        described["maps"] = WindowMaps(
            settings.maps.window,
            shrink=lambda image_HW3: np.asarray(rescaled(image_HW3, settings)),
            map_of=lambda window_NHW3: mapper(window_NHW3[None])[0],
        )
    return described


class _Sink(io.FileIO):
    """File that stores its first error for `check`, because HDF5 crashes if its file raises."""

    _error: OSError | None = None

    def write(self, data: Any, /) -> int:
        view = memoryview(data).cast("B")
        size = len(view)
        try:
            while self._error is None and view:
                view = view[super().write(view) :]
        except OSError as err:  # such as a full disk
            self._error = err
        return size

    def readinto(self, buffer: Any, /) -> int:
        view = memoryview(buffer).cast("B")
        count = super().readinto(view)
        view[count:] = bytes(len(view) - count)
        return len(view)

    def truncate(self, size: int | None = None, /) -> int:
        return 0 if self._error else super().truncate(size)

    def check(self) -> None:
        """Raise the stored error, if any."""
        if self._error is not None:
            raise self._error
