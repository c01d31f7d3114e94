"""Write the page of a shard: one file with a sample of frames, or a folder with all frames."""

import logging
import shutil
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from itertools import groupby
from operator import itemgetter
from pathlib import Path

import numpy as np
from markupsafe import Markup

from orn.shared.config.bounded import open_file
from orn.shared.data_files import is_there
from orn.shared.errors import ConfigError, PipelineError
from orn.shared.inspect.labels import ActivityLabels
from orn.shared.inspect.page.choice import inclusion_order
from orn.shared.inspect.page.contents import (
    ShownVideo,
    encoded_picture,
    frame_json,
    shown_size,
    thumbnail,
    video_borders,
    view_model,
)
from orn.shared.inspect.pictures import Pictures, pictures_or_grey
from orn.shared.inspect.summary import summarise
from orn.shared.jobs.atomic_file import replacing, write_bytes
from orn.shared.jobs.outputs import check_output_files, check_output_folder
from orn.shared.jobs.progress import Bar, progress
from orn.shared.pages.render import render
from orn.shared.shards.shard import Shard
from orn.shared.text import path_text

logger = logging.getLogger(__name__)

LARGEST_FILE_BYTES = 8_000_000
"""Default size limit of a single-file page; larger pages are slow to open and to send."""
_MARK = b'<meta name="generator" content="orn inspect">'
"""Identifies our pages, so that no other file is overwritten."""
_CHUNK_BYTES = 400_000
_CHUNK_FRAMES = 64
_BETWEEN_FRAMES_BYTES = 20
"""Overhead per frame: its number, commas, its share of a chunk's tags."""
_VIDEO_BYTES = 300
"""Reserved size of a video's text that explains missing pictures."""
_THUMBNAIL_BYTES = 5_000
_MOST_THUMBNAILS = 400
"""Maximum number of videos with a thumbnail."""


@dataclass(frozen=True, slots=True, kw_only=True)
class PageReport:
    """A written page."""

    path: Path
    """The HTML file to open."""
    size_bytes: int
    """Total size of its files."""
    frames: int
    """Number of full frames on the page."""
    all_frames: int
    """Number of frames of the shard."""


def write_page(
    shard: Shard,
    pictures: Pictures,
    out: Path,
    *,
    labels: ActivityLabels | None = None,
    largest_bytes: int = LARGEST_FILE_BYTES,
) -> PageReport:
    """Write `out`: one file if its name ends in .html, else a folder with an index.html.

    Args:
        shard: the shard.
        pictures: source of the pictures under the masks.
        out: the page; an existing page of a shard is replaced, any other file is not.
        labels: labels of the videos, and predictions if there are any.
        largest_bytes: size limit of a single file.

    Raises:
        ConfigError: if `out` exists and is not a page of a shard.
        PipelineError: if the index alone exceeds the limit or a file cannot be written.
        ShardFormatError: if the shard is damaged.
    """
    check_page_output(out)
    page = _Page(shard, pictures, labels or ActivityLabels(), is_sample=_is_one_file(out))
    report = _write_file(page, out, largest_bytes) if page.is_sample else _write_folder(page, out)
    grey = [(video.id, each.grey) for video, each in zip(shard.videos, page.videos, strict=True)
            if each.grey is not None]  # fmt: skip
    if grey:
        logger.warning(
            "drawing masks on a gray background in %d of %d videos; for %r: %s",
            *(len(grey), len(shard.videos), *grey[0]),
        )
    return report


class _Page:
    """Encoder of a shard's frames, and of the page around them.

    Args:
        shard: the shard.
        pictures: source of the pictures under the masks.
        labels: labels of the videos.
        is_sample: whether the page is a single file, with small pictures.
    """

    def __init__(
        self, shard: Shard, pictures: Pictures, labels: ActivityLabels, *, is_sample: bool
    ) -> None:
        self.shard, self.pictures, self.labels = shard, pictures, labels
        self.is_sample = is_sample
        self.longest_side, self.quality = (640, 72) if is_sample else (800, 80)
        self.summary = summarise(shard)
        self.borders = video_borders(shard)
        self.videos = [
            ShownVideo(size=shown_size(video, None, longest=self.longest_side))
            for video in shard.videos
        ]

    def encoded(self, rows: Sequence[int]) -> Iterator[tuple[int, Markup]]:
        """Yield each of the increasing rows with its full frame."""
        videos_n = np.searchsorted(self.borders, rows, side="right") - 1
        for place, group in groupby(zip(videos_n.tolist(), rows, strict=True), key=itemgetter(0)):
            yield from self._of_video(place, [row for _, row in group])

    def _of_video(self, place: int, rows: list[int]) -> Iterator[tuple[int, Markup]]:
        video, each = self.shard.videos[place], self.videos[place]
        seconds_n = self.shard.frame_seconds()[rows]
        pictures = pictures_or_grey(self.pictures, video, seconds_n, partial(setattr, each, "grey"))
        for row, picture in zip(rows, pictures, strict=True):
            jpeg, found = None, self.shard.frame(row)
            if picture is not None:
                each.size = shown_size(video, picture, longest=self.longest_side)
                each.grey = None
                jpeg = encoded_picture(picture, each.size, quality=self.quality)
            text = frame_json(found, jpeg, source=str(self.shard.path))
            if place < _MOST_THUMBNAILS and found.scores.sum() > 1.25 * each.in_thumbnail:
                each.thumbnail = thumbnail(found, picture, each.size)
                each.in_thumbnail = float(found.scores.sum())
            yield row, text

    def html(
        self,
        included: list[int] | None,
        starts: list[int],
        *,
        chunks: Sequence[Markup] = (),
        folder: str = "",
    ) -> bytes:
        """Return the page around these frames.

        Args:
            included: rows with full frames; None for all rows.
            starts: index of each chunk's first frame among them.
            chunks: frames embedded in the page.
            folder: name of the folder of frames that are not embedded.
        """
        view = view_model(
            self.shard,
            self.summary,
            self.labels,
            self.videos,
            pictures=self.pictures.name,
            included=included,
        )
        view["index"] |= {"starts": starts, "folder": folder}
        return render("orn.shared.inspect.page/shard.html", **view, chunks=chunks).encode()


def _write_file(page: _Page, out: Path, largest_bytes: int) -> PageReport:
    """Write a single file with as many frames as fit."""
    num_F = np.diff(page.shard.array("frame_offsets"))
    order = inclusion_order(page.borders, num_F).tolist()
    base = len(page.html(order, [])) + _VIDEO_BYTES * len(page.videos)
    room = largest_bytes - base
    if room < 0:
        raise PipelineError(
            f"{out}: expected a page of at most {largest_bytes:,} bytes, got {base:,} for the "
            "index alone; write a folder instead (a name without .html)"
        )
    thumbnails = _THUMBNAIL_BYTES * min(len(page.videos), _MOST_THUMBNAILS)
    frames = _fitting(page, order, room - min(thumbnails, room // 4))

    def with_frames() -> bytes:
        rows = sorted(frames)
        chunks = list(_chunked((row, frames[row]) for row in rows))
        included = None if len(rows) == page.shard.num_frames else rows
        texts = [chunk for _, chunk in chunks]
        return page.html(included, [start for start, _ in chunks], chunks=texts)

    html = with_frames()
    while len(html) > largest_bytes and frames:  # thumbnails and texts of videos
        for _ in range(max(len(frames) // 50, 1)):
            frames.popitem()
        html = with_frames()
    write_bytes(out, html)
    return PageReport(
        path=out, size_bytes=len(html), frames=len(frames), all_frames=page.shard.num_frames
    )


def _fitting(page: _Page, order: list[int], room: int) -> dict[int, Markup]:
    """Return the frames of the first rows in `order` that fit into `room` bytes.

    A frame that would take more than a quarter of the room is skipped.
    """
    frames: dict[int, Markup] = {}
    used, done = 0, 0
    mean = 2_000.0 if page.pictures.name == "none" else 40_000.0
    while done < len(order):
        count = max(int((room - used) / mean), 1)
        new = dict(page.encoded(sorted(order[done : done + count])))
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


def _write_folder(page: _Page, out: Path) -> PageReport:
    """Write a folder with all frames, in files that the page loads on demand."""
    num_frames = page.shard.num_frames
    with replacing(out / "index.html") as temporary:
        folder = out / f"frames-{temporary.name[-8:]}"
        try:
            folder.mkdir()
            with progress("page", total=num_frames, unit="frames") as bar:
                starts, size_bytes = _write_chunks(page.encoded(range(num_frames)), folder, bar)
            html = page.html(None, starts, folder=folder.name)
            temporary.write_bytes(html)
        except BaseException:
            shutil.rmtree(folder, ignore_errors=True)
            raise
    for other in out.glob("frames-????????"):
        if other != folder:
            shutil.rmtree(other, ignore_errors=True)
    return PageReport(
        path=out / "index.html",
        size_bytes=len(html) + size_bytes,
        frames=num_frames,
        all_frames=num_frames,
    )


def _write_chunks(
    frames: Iterator[tuple[int, Markup]], folder: Path, bar: Bar
) -> tuple[list[int], int]:
    """Write frames into files; return the index of each file's first frame and the total size."""
    starts, size_bytes = [], 0
    for number, (start, chunk) in enumerate(_chunked(frames)):
        text = f"ornFrames({number},`{chunk}`);\n"
        (folder / f"{number:06d}.js").write_text(text, encoding="ascii")
        starts.append(start)
        size_bytes += len(text)
        bar.advance(chunk.count("\n") + 1)
    return starts, size_bytes


def _chunked(frames: Iterable[tuple[int, Markup]]) -> Iterator[tuple[int, Markup]]:
    """Yield chunks of about 400 kB, one frame per line, with the index of their first frame."""
    start, held = 0, list[Markup]()
    for _, frame in frames:
        if held and (len(held) >= _CHUNK_FRAMES or sum(map(len, held)) + len(frame) > _CHUNK_BYTES):
            yield start, Markup("\n").join(held)
            start, held = start + len(held), []
        held.append(frame)
    if held:
        yield start, Markup("\n").join(held)


def _is_one_file(out: Path) -> bool:
    return out.suffix.lower() in (".html", ".htm")


def check_page_output(out: Path) -> None:
    """Raise ConfigError if `out` exists and is not a page of a shard."""
    page = out
    if _is_one_file(out):
        check_output_files([out])
    else:
        check_output_folder(out, ours=["index.html"])
        page = out / "index.html"
    if is_there(page):
        with open_file(page) as file:
            is_ours = _MARK in file.read(2000)
        if not is_ours:
            raise ConfigError(
                f"{path_text(page)}: file exists and is not the page of a shard; choose a "
                "different name"
            )
