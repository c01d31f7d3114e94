"""Read large JSON or CSV files with many small records, without loading a whole file. One pass
finds the byte ranges of each video's records, which are then read frame by frame.

Axes: R records of a video, P distinct frames among them, F frames of the video.
"""

import json
from array import array
from collections.abc import Callable, Iterable, Iterator, Sequence
from pathlib import Path
from typing import IO, Annotated, Any, Self

import numpy as np
from numpy.typing import NDArray
from pydantic import AfterValidator, BaseModel, ConfigDict, Field, ValidationError

from orn.shared.config.bounded import open_file
from orn.shared.config.fields import explain
from orn.shared.errors import ObjectImportError
from orn.shared.shards.shard import MOST_FRAME_DETECTIONS
from orn.shared.shards.time_join import frame_interval, nearest_frames
from orn.shared.text import path_text
from orn.stage1_detect.imports.source import (
    SourceFrame,
    SourceObject,
    SourceVideo,
    checked,
    frame_of,
)

MOST_RECORDS = 2**23
"""Maximum number of records in a file; Something-Else has 7.2 million frames."""
MOST_RECORD_BYTES = 4 * 2**20
"""Maximum size of a record, which takes up to 25 times its size in memory."""
_BLOCK_BYTES = 2**20
_DECODER = json.JSONDecoder()
_SPACE = " \t\r\n"


def _printable(text: str) -> str:
    if not text.isprintable():
        raise ValueError(f"expected printable characters, got {ascii(text)[:80]}")
    return text


Text = Annotated[str, Field(min_length=1, max_length=1000), AfterValidator(_printable)]
"""The name of a video, class or image."""
Number = Annotated[float, Field(ge=-1e9, le=1e9)]
"""A coordinate, or a time in seconds."""
Place = Annotated[int, Field(ge=0, le=10**15)]
"""The number of a frame."""
Score = Annotated[float, Field(ge=0, le=1)]


class Record(BaseModel):
    """A record with typed fields; other keys are ignored."""

    model_config = ConfigDict(strict=True, extra="ignore", allow_inf_nan=False)

    @classmethod
    def of(cls, value: Any, what: str) -> Self:
        """Parse a record from JSON bytes or from a value; `what` identifies it in messages."""
        read = cls.model_validate_json if isinstance(value, bytes) else cls.model_validate
        try:
            return read(value)
        except ValidationError as err:
            raise ObjectImportError(f"{what}: {explain(err, cls)}; correct the file") from err


class RecordList:
    """Collects the byte ranges of each video's records in a file."""

    def __init__(self, path: Path, *, first: int = 0, rate: float | None = None) -> None:
        """Initialize an empty list.

        Args:
            path: the file.
            first: number of a video's first frame.
            rate: frame rate of the frame numbers in Hz; None for the video's frame rate.
        """
        self._path, self._first, self._rate = path, first, rate
        self._by_time = rate is not None
        self._numbers: dict[str, int] = {}
        self._videos, self._places = array("i"), array("d")
        self._starts, self._lengths = array("q"), array("i")

    def __len__(self) -> int:
        return len(self._videos)

    def add(
        self,
        video_id: str,
        frame: int | None,
        seconds: float | None = None,
        *,
        span: tuple[int, int] = (0, 0),
    ) -> None:
        """Add a record of a frame, given by its time or its number.

        Args:
            video_id: id of the video in the source.
            frame: number of the frame.
            seconds: time of the frame; given for all frames in a file, or for none.
            span: first byte and length of the record; (0, 0) adds a frame without objects.
        """
        by_time = seconds is not None or self._rate is not None
        if len(self) and by_time != self._by_time:
            raise ObjectImportError(
                f"{self._path}: expected times for all frames or none, got some; add the rest"
            )
        self._by_time = by_time
        place = seconds
        if place is None:
            place = ((frame or 0) - self._first) / (self._rate or 1)
        self._append(self._numbers.setdefault(video_id, len(self._numbers)), place, span)

    def add_to(self, record: int, span: tuple[int, int]) -> None:
        """Add a record to the frame of an earlier record, given by its index."""
        self._append(self._videos[record], self._places[record], span)

    def videos(self, **common: Any) -> list[SourceVideo]:
        """Return the videos, with `common` fields. Records of the same frame keep their order."""
        videos_R, places_R = np.array(self._videos), np.array(self._places)
        spans_R2 = np.stack([self._starts, self._lengths], axis=1, dtype=np.int64)
        order_R = np.lexsort((places_R, videos_R))
        stops = np.searchsorted(videos_R[order_R], np.arange(len(self._numbers)), "right")
        return [
            SourceVideo(
                id=video_id,
                path=self._path,
                places_R=places_R[row_R],
                by_time=self._by_time,
                first_frame=self._first,
                spans_R2=spans_R2[row_R],
                **common,
            )
            for video_id, row_R in zip(self._numbers, np.split(order_R, stops[:-1]), strict=False)
        ]

    def _append(self, number: int, place: float, span: tuple[int, int]) -> None:
        if len(self) == MOST_RECORDS:
            raise ObjectImportError(
                f"{self._path}: expected at most {MOST_RECORDS:,} records, got more; split the "
                "file by video"
            )
        self._videos.append(number)
        self._places.append(place)
        self._starts.append(span[0])
        self._lengths.append(span[1])


def rows_of_places(
    video: SourceVideo, seconds_F: NDArray[np.float64], *, folder_rate: float | None
) -> NDArray[np.int64]:
    """Return the (P,) frame index of each distinct number or time of a video, or -1.

    A time matches the nearest frame within half a frame interval. If several times match the same
    frame, only the nearest is kept.

    Args:
        video: a video with records.
        seconds_F: times of the video's frames.
        folder_rate: frame rate of a folder of JPEGs, in which numbers may be missing; None for a
            video file.
    """
    assert video.places_R is not None
    places_P = np.unique(video.places_R)
    if video.by_time:
        interval = frame_interval(seconds_F, otherwise=1.0)
    elif folder_rate is not None:
        interval = 1 / folder_rate
        places_P = places_P * interval
    else:
        return np.where((places_P >= 0) & (places_P < len(seconds_F)), places_P, -1).astype(int)
    near = nearest_frames(seconds_F, places_P, interval=interval)
    order_P = np.lexsort((near.gaps_n, near.rows_n))
    _, firsts = np.unique(near.rows_n[order_P], return_index=True)
    is_nearest_P = np.zeros(len(places_P), np.bool_)
    is_nearest_P[order_P[firsts]] = True
    return np.where(near.is_near_n & is_nearest_P, near.rows_n, -1)


def frames_of_records(
    video: SourceVideo,
    objects_in: Callable[[bytes, SourceVideo, str], Iterable[SourceObject]],
    wanted_P: NDArray[np.bool_],
    *,
    grid: tuple[int, int],
    classes: Sequence[str],
    groups: bool = False,
) -> Iterator[SourceFrame]:
    """Return the frames of a video that has records.

    Args:
        video: a video with records.
        objects_in: parses a record; its last argument identifies the record in messages.
        wanted_P: mask of the distinct frames to read.
        grid: (height, width) of the frames.
        classes: names of the classes to keep.
        groups: whether to keep groups of objects.

    Raises:
        ObjectImportError: for the first invalid record.
    """

    def objects(file: IO[bytes], rows: slice) -> Iterator[SourceObject]:
        for start, length in video.spans_R2[rows].tolist():
            if length:
                file.seek(start)
                record = file.read(length)
                yield from objects_in(record, video, f"{video.path}: record at byte {start:,}")

    def frames() -> Iterator[SourceFrame]:
        assert video.places_R is not None
        labels = {name: label for label, name in enumerate(classes)}
        places_P, firsts_P = np.unique(video.places_R, return_index=True)
        stops_P = np.append(firsts_P[1:], len(video.spans_R2))
        with open_file(video.path, error=ObjectImportError) as file:
            for row in np.flatnonzero(wanted_P):
                what = f"{video.path}: {video.at(places_P[row])}"
                if stops_P[row] - firsts_P[row] > MOST_FRAME_DETECTIONS + 1:
                    raise ObjectImportError(
                        f"{what}: expected at most {MOST_FRAME_DETECTIONS:,} objects, got "
                        f"{stops_P[row] - firsts_P[row]:,}; remove some"
                    )
                found = objects(file, slice(firsts_P[row], stops_P[row]))
                yield frame_of(
                    what, float(places_P[row]), found, grid=grid, labels=labels, groups=groups
                )

    return checked(frames(), video, num_classes=len(classes))


def elements_of(path: Path) -> Iterator[tuple[str, Any, tuple[int, int]]]:
    """Yield the elements of a JSON file that contains a list or an object.

    An element of the list has the key "". The members of an object are elements, except that a
    member that is a list is replaced by its own elements.

    Yields:
        Key, value, and (first byte, length).

    Raises:
        ObjectImportError: if the file is not JSON, or an element exceeds `MOST_RECORD_BYTES`.
    """
    with open_file(path, error=ObjectImportError) as file:
        text = _JsonText(file, path)
        if text.peek() == "[":
            for element in text.elements():
                yield "", *element
        else:
            text.take("{")
            while text.peek() != "}":
                key, _ = text.value()
                text.take(":")
                for element in text.elements() if text.peek() == "[" else [text.value()]:
                    yield str(key), *element
                text.after_element("}")
            text.take("}")
        if text.peek():
            raise text.refusal("the end of the file")


class _JsonText:
    """Reads a large JSON file in blocks.

    Bytes are decoded as Latin-1, so that an index in the text is a byte offset; non-ASCII values
    are decoded again as UTF-8.
    """

    def __init__(self, file: IO[bytes], path: Path) -> None:
        self._file, self._path = file, path
        self._text, self._at, self._start = "", 0, 0

    def peek(self) -> str:
        """Return the next character that is not whitespace, or "" at the end."""
        while True:
            while self._at < len(self._text) and self._text[self._at] in _SPACE:
                self._at += 1
            if self._at < len(self._text) or not self._more():
                return self._text[self._at : self._at + 1]

    def take(self, expected: str) -> None:
        """Consume the next character, which must be the expected one."""
        if self.peek() != expected:
            raise self.refusal(repr(expected))
        self._at += 1

    def after_element(self, closing: str) -> None:
        """Consume the comma before the next element; stop at the closing bracket."""
        if self.peek() != closing:
            self.take(",")
            if self.peek() == closing:
                raise self.refusal("an element")

    def elements(self) -> Iterator[tuple[Any, tuple[int, int]]]:
        """Consume a list and yield its elements."""
        self.take("[")
        while self.peek() != "]":
            yield self.value()
            self.after_element("]")
        self.take("]")

    def value(self) -> tuple[Any, tuple[int, int]]:
        """Consume a value; return it with its first byte and length."""
        self.peek()
        while True:
            try:
                value, end = _DECODER.raw_decode(self._text, self._at)
                if end < len(self._text) or not self._more():
                    break
            except (ValueError, RecursionError) as err:
                if len(self._text) - self._at > MOST_RECORD_BYTES or not self._more():
                    most = f"JSON in UTF-8 with at most {MOST_RECORD_BYTES:,} bytes per record"
                    raise self.refusal(most) from err
        text, start = self._text[self._at : end], self._start + self._at
        try:
            value = value if text.isascii() else json.loads(text.encode("latin-1"))
        except ValueError as err:
            raise self.refusal("JSON in UTF-8") from err
        self._at = end
        return value, (start, len(text))

    def refusal(self, expected: str) -> ObjectImportError:
        """Return an error at the current position."""
        got = self._text[self._at : self._at + 20]
        return ObjectImportError(
            f"{path_text(self._path)}: expected {expected} at byte {self._start + self._at:,}, got "
            f"{ascii(got) if got else 'the end of the file'}; export the file again"
        )

    def _more(self) -> bool:
        """Read the next block and drop the consumed text."""
        try:
            block = self._file.read(_BLOCK_BYTES)
        except OSError as err:
            raise ObjectImportError(f"{self._path}: cannot be read ({err.strerror})") from err
        self._start += self._at
        self._text, self._at = self._text[self._at :] + block.decode("latin-1"), 0
        return bool(block)
