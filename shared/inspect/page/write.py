"""Writes the page of a shard: one file with a sample of frames, or a folder with all of them."""

import logging
import shutil
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import groupby
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from orn.shared.config.bounded import open_file, shown
from orn.shared.data_files import is_there
from orn.shared.errors import ConfigError, PipelineError
from orn.shared.inspect.page.assemble import MARK, page_html
from orn.shared.inspect.page.choice import most_telling_first
from orn.shared.inspect.page.contents import (
    ShownVideo,
    frame_json,
    index_of,
    jpeg_base64,
    shown_size,
    video_borders,
)
from orn.shared.inspect.pictures import Pictures
from orn.shared.inspect.summary import summarise
from orn.shared.jobs.atomic_file import replacing, write_bytes
from orn.shared.jobs.outputs import check_output_files, check_output_folder
from orn.shared.jobs.progress import progress
from orn.shared.shards.shard import Shard
from orn.shared.text_table import counted

logger = logging.getLogger(__name__)

LARGEST_FILE_BYTES = 8_000_000
"""Of the page that is one file: larger ones are slow to open and to send."""
_CHUNK_BYTES = 400_000
_CHUNK_FRAMES = 64
_BETWEEN_FRAMES_BYTES = 20
"""What a frame takes beside its own bytes: its number, commas, its share of a chunk's tags."""


@dataclass(frozen=True, slots=True, kw_only=True)
class PageReport:
    """What was written."""

    path: Path
    """The page to open."""
    size_bytes: int
    """Of all its files."""
    frames: int
    """Frames that it has in full."""
    all_frames: int
    """Frames of the shard."""


def write_page(
    shard: Shard, pictures: Pictures, out: Path, *, largest_bytes: int = LARGEST_FILE_BYTES
) -> PageReport:
    """Writes `out`: one file if its name ends in .html, else a folder with an index.html.

    Args:
        shard: what to show.
        pictures: where the frames under the masks come from.
        out: a page of this kind that is there is replaced; anything else that is there is not.
        largest_bytes: of the one file.

    Raises:
        ConfigError: if something else is at `out`.
        PipelineError: if one file cannot even hold the index, or the disk refuses.
        ShardFormatError: if something in the shard is damaged.
    """
    check_page_output(out)
    writer = (_FileWriter if _is_one_file(out) else _FolderWriter)(shard, pictures, out)
    report = writer.write(largest_bytes)
    grey = [(video.id, shown.grey) for video, shown in zip(shard.videos, writer.videos, strict=True)
            if shown.grey is not None]  # fmt: skip
    if grey:
        logger.warning(
            "masks are drawn on grey in %d of %d videos; of %r: %s",
            *(len(grey), len(shard.videos), *grey[0]),
        )
    return report


class _Writer:
    """What both forms share: encoding frames and building the page around them."""

    longest_side = 640
    jpeg_quality = 72

    def __init__(self, shard: Shard, pictures: Pictures, out: Path) -> None:
        self.shard, self.pictures, self.out = shard, pictures, out
        self.summary = summarise(shard)
        self.borders = video_borders(shard)
        self.videos = [
            ShownVideo(size=shown_size(video, None, longest=self.longest_side), grey=None)
            for video in shard.videos
        ]

    def encoded(self, rows: Sequence[int]) -> Iterator[tuple[int, str]]:
        """Each of the rows, rising, with its frame in full."""
        videos = np.searchsorted(self.borders, rows, side="right") - 1
        for place, group in groupby(zip(videos.tolist(), rows, strict=True), key=lambda e: e[0]):
            yield from self._of_video(place, [row for _, row in group])

    def _of_video(self, place: int, rows: list[int]) -> Iterator[tuple[int, str]]:
        video = self.shard.videos[place]
        for row, picture in zip(rows, self._pictures(place, rows), strict=True):
            jpeg = None
            if picture is not None:
                size = shown_size(video, picture, longest=self.longest_side)
                self.videos[place] = ShownVideo(size=size, grey=None)
                jpeg = jpeg_base64(picture, size, quality=self.jpeg_quality)
            yield row, frame_json(self.shard.frame(row), jpeg, source=str(self.shard.path))

    def _pictures(self, place: int, rows: list[int]) -> Iterator[NDArray[np.uint8] | None]:
        """The picture of each row, None where there is none; remembers why."""
        done, seconds_F = 0, self.shard.frame_seconds()
        try:
            for picture in self.pictures.frames(self.shard.videos[place], seconds_F[rows]):
                yield picture
                done += 1
        except PipelineError as err:
            self.videos[place] = ShownVideo(size=self.videos[place].size, grey=str(err))
        yield from [None] * (len(rows) - done)

    def index(self, included: list[int] | None, starts: list[int]) -> dict[str, Any]:
        """The index with what the page has of frames in full."""
        return {
            **index_of(
                self.shard,
                self.summary,
                self.videos,
                pictures=self.pictures.name,
                notes=self._notes(included),
            ),
            "included": included,
            "starts": starts,
        }

    def _notes(self, included: list[int] | None) -> list[str]:
        if included is None or len(included) == self.shard.num_frames:
            return []
        return [
            f"This page has {len(included):,} of {counted(self.shard.num_frames, 'frame')}: odd "
            "ones, some where much changes, and others spread over time. The timeline counts all "
            "frames. A folder has them all: orn inspect SHARD --html FOLDER"
        ]


class _FileWriter(_Writer):
    """One file with as many frames as fit."""

    def write(self, largest_bytes: int) -> PageReport:
        odd = [each.row for each in self.summary.odd if each.row is not None]
        num_F = np.diff(self.shard.array("frame_offsets"))
        order = most_telling_first(self.borders, odd, num_F).tolist()
        base = len(page_html(self.index(order, [])).encode()) + 300 * len(self.videos)
        room = largest_bytes - base
        if room < 0:
            raise PipelineError(
                f"{self.out}: wanted a page of at most {largest_bytes:,} bytes, its index alone "
                f"has {base:,}; write a folder instead (a name without .html)"
            )
        frames = self._fitting(order, room)
        page = self._page(frames)
        while len(page) > largest_bytes and frames:  # why videos are grey was not known before
            frames.popitem()
            page = self._page(frames)
        write_bytes(self.out, page)
        return PageReport(
            path=self.out,
            size_bytes=len(page),
            frames=len(frames),
            all_frames=self.shard.num_frames,
        )

    def _page(self, frames: dict[int, str]) -> bytes:
        rows = sorted(frames)
        chunks, starts = _chunks((row, frames[row]) for row in rows)
        included = None if len(rows) == self.shard.num_frames else rows
        return page_html(self.index(included, starts), chunks).encode()

    def _fitting(self, order: list[int], room: int) -> dict[int, str]:
        """The first of these rows whose frames fit together, in this order.

        A frame that would take more than a quarter of the room is left out.
        """
        frames: dict[int, str] = {}
        used, done = 0, 0
        mean = 2_000.0 if self.pictures.name == "none" else 40_000.0
        while done < len(order):
            count = max(int((room - used) / mean), 1)
            new = dict(self.encoded(sorted(order[done : done + count])))
            for row in order[done : done + count]:
                size = len(new[row]) + _BETWEEN_FRAMES_BYTES
                if size > room / 4 and len(order) > 4:
                    continue
                if used + size > room:
                    return frames
                frames[row] = new[row]
                used += size
            mean = 1.05 * sum(map(len, new.values())) / len(new) + _BETWEEN_FRAMES_BYTES
            done += count
        return frames


class _FolderWriter(_Writer):
    """A folder with all frames, in files that the page loads when it needs them."""

    longest_side = 800
    jpeg_quality = 80

    def write(self, largest_bytes: int) -> PageReport:
        with replacing(self.out / "index.html") as temporary:
            folder = self.out / f"frames-{temporary.name[-8:]}"
            try:
                folder.mkdir()
                starts, size_bytes = self._write_chunks(folder)
                index = {**self.index(None, starts), "folder": folder.name}
                html = page_html(index)
                temporary.write_text(html, encoding="utf-8")
            except BaseException:
                shutil.rmtree(folder, ignore_errors=True)
                raise
        for other in self.out.glob("frames-????????"):
            if other != folder:
                shutil.rmtree(other, ignore_errors=True)
        return PageReport(
            path=self.out / "index.html",
            size_bytes=len(html.encode()) + size_bytes,
            frames=self.shard.num_frames,
            all_frames=self.shard.num_frames,
        )

    def _write_chunks(self, folder: Path) -> tuple[list[int], int]:
        starts, size_bytes = [], 0
        with progress("page", total=self.shard.num_frames, unit="frames") as bar:
            for number, (start, chunk) in enumerate(
                _chunked(self.encoded(range(self.shard.num_frames)))
            ):
                text = f"ornFrames({number},`{chunk}`);\n"
                (folder / f"{number:06d}.js").write_text(text, encoding="ascii")
                starts.append(start)
                size_bytes += len(text)
                bar.advance(chunk.count("\n") + 1)
        return starts, size_bytes


def _chunks(frames: Iterator[tuple[int, str]]) -> tuple[list[str], list[int]]:
    parts = list(_chunked(frames))
    return [chunk for _, chunk in parts], [start for start, _ in parts]


def _chunked(frames: Iterator[tuple[int, str]]) -> Iterator[tuple[int, str]]:
    """Frames in chunks of about 400 kB, a line each, with the place of its first among all."""
    start, held = 0, list[str]()
    for _, frame in frames:
        if held and (len(held) >= _CHUNK_FRAMES or sum(map(len, held)) + len(frame) > _CHUNK_BYTES):
            yield start, "\n".join(held)
            start, held = start + len(held), []
        held.append(frame)
    if held:
        yield start, "\n".join(held)


def _is_one_file(out: Path) -> bool:
    return out.suffix.lower() in (".html", ".htm")


def check_page_output(out: Path) -> None:
    """Raise ConfigError if what lies at `out` is not a page of this kind."""
    page = out
    if _is_one_file(out):
        check_output_files([out])
    else:
        check_output_folder(out, ours=["index.html"])
        page = out / "index.html"
    if is_there(page):
        with open_file(page) as file:
            is_ours = MARK.encode() in file.read(2000)
        if not is_ours:
            raise ConfigError(
                f"{shown(page)}: expected nothing there or a page of a shard, got another file; "
                "choose another name"
            )
