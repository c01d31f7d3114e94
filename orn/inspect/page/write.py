"""Write the page of a shard: a folder with an index.html, and files with all frames."""

import logging
import shutil
from collections.abc import Iterable, Iterator, Sequence
from functools import partial
from pathlib import Path

from markupsafe import Markup

from orn.inspect.page.contents import (
    ShownVideo,
    encoded_picture,
    frame_json,
    shown_size,
    view_model,
)
from orn.inspect.shard_videos import ActivityLabels, Pictures, pictures_or_gray
from orn.shared.jobs.atomic_file import replacing
from orn.shared.jobs.outputs import EarlierResults, Marker, check_output_folder
from orn.shared.jobs.progress import Bar, progress
from orn.shared.pages.render import render
from orn.shared.shards.shard import Shard

logger = logging.getLogger(__name__)

_PAGE = Marker(name="index.html", mark=b'<meta name="generator" content="orn inspect">')
_CHUNK_BYTES = 400_000
_CHUNK_FRAMES = 64


def write_page(
    shard: Shard,
    pictures: Pictures,
    out: Path,
    *,
    labels: ActivityLabels | None = None,
    score_threshold: float = 0.5,
) -> Path:
    """Write a folder with all frames, in files loaded on demand, and return its index.html.

    Args:
        shard: the shard.
        pictures: source of the pictures under the masks.
        out: the folder; an existing page of a shard is replaced, any other folder is not.
        labels: labels of the videos.
        score_threshold: minimum score of the objects shown, until the reader changes it.

    Raises:
        ConfigError: if `out` exists and is not a page of a shard.
        PipelineError: if a file cannot be written.
        ShardFormatError: if the shard is damaged.
    """
    check_page_output(out)
    earlier = EarlierResults(folder=out, files=tuple(out.glob("frames-????????/[0-9]*.js")))
    videos = [ShownVideo(size=shown_size(video, None)) for video in shard.videos]
    frames = _frames(shard, pictures, videos)
    with replacing(out / "index.html") as temporary:
        folder = out / f"frames-{temporary.name[-8:]}"
        try:
            folder.mkdir()
            with progress("page", total=shard.num_frames, unit="frames") as bar:
                starts = _write_chunks(frames, folder, bar)
            labels = labels or ActivityLabels()
            view = view_model(shard, labels, videos, pictures=pictures.name)
            view["index"] |= {"starts": starts, "folder": folder.name, "least": score_threshold}
            html = render("orn.inspect.page/shard.html", **view)
            temporary.write_text(html, encoding="utf-8")
        except BaseException:
            shutil.rmtree(folder, ignore_errors=True)
            raise
    earlier.remove()
    gray = [(video.id, look.gray) for video, look in zip(shard.videos, videos, strict=True)
            if look.gray is not None]  # fmt: skip
    if gray:
        logger.warning(
            "drawing masks on a gray background in %d of %d videos; for %r: %s",
            *(len(gray), len(shard.videos), *gray[0]),
        )
    return out / "index.html"


def _frames(shard: Shard, pictures: Pictures, videos: Sequence[ShownVideo]) -> Iterator[Markup]:
    """Yield all frames as JSON, and complete the appearance of the videos."""
    seconds_F = shard.frame_seconds()
    for video, look in zip(shard.videos, videos, strict=True):
        start, stop = shard.video_rows(video.id)
        on_gray = partial(setattr, look, "gray")
        seconds_n = seconds_F[start:stop]
        shown = pictures_or_gray(pictures, video, seconds_n, on_gray) if start < stop else ()
        for row, picture in zip(range(start, stop), shown, strict=True):
            jpeg, detections = None, shard.checked_frame(row)
            if picture is not None:
                look.size, look.gray = shown_size(video, picture), None
                jpeg = encoded_picture(picture, look.size)
            yield frame_json(detections, jpeg)


def _write_chunks(frames: Iterable[Markup], folder: Path, bar: Bar) -> list[int]:
    """Write frames into files of about 400 kB, one frame per line, and return the index of each
    file's first frame."""
    starts, held = [0], list[Markup]()

    def write() -> None:
        lines, number = "\n".join(held), len(starts) - 1
        text = f"ornFrames({number},`{lines}`);\n"
        (folder / f"{number:06d}.js").write_text(text, encoding="ascii")
        starts.append(starts[-1] + len(held))
        bar.advance(len(held))
        held.clear()

    for frame in frames:
        if held and (len(held) >= _CHUNK_FRAMES or sum(map(len, held)) + len(frame) > _CHUNK_BYTES):
            write()
        held.append(frame)
    if held:
        write()
    return starts[:-1]


def check_page_output(out: Path) -> None:
    """Raise ConfigError if `out` exists and is not a page of a shard."""
    check_output_folder(out, marker=_PAGE)
