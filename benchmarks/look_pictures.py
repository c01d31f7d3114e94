"""The pictures of docs/look.md and the README, from a demo shard.

    python -m benchmarks.look_pictures SHARD --data data --out docs/figures

Draws what `orn inspect` draws, and photographs its page. Give it generated films only: the
pictures are published.
"""

import io
import tempfile
from pathlib import Path
from typing import Any

import click
import numpy as np
from PIL import Image

from benchmarks.chromium import headless_chromium
from shared.inspect.frame import find_frame
from shared.inspect.overlay import draw_picture
from shared.inspect.page.write import write_page
from shared.inspect.pictures import Pictures, pictures_of_shard
from shared.jobs.atomic_file import write_bytes
from shared.shards.schema import VideoEntry
from shared.shards.shard import Shard

_FRAMES_BESIDE = 3
_LARGEST_BYTES = 150_000


def make_pictures(browser: Any, shard: Shard, pictures: Pictures, out: Path) -> list[Path]:
    """Writes the pictures into the folder `out`: frames with masks, and the page of the shard."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        beside = _frames(shard, pictures, folder)
        page = write_page(shard, pictures, folder / "page").path
        video = _varied(shard)
        place = f"#{video.id}/{_chosen(shard, video.id)[1]}"
        return [
            save_picture(beside, out / "look_masks.webp"),
            save_picture(_photograph(browser, page, place, width=1280), out / "look_page.webp"),
            save_picture(
                _photograph(browser, page, place, width=400, dark=True), out / "look_phone.webp"
            ),
        ]


def _varied(shard: Shard) -> VideoEntry:
    """The longest video, of equally long ones that in which most comes and goes."""
    num_F = np.diff(shard.array("frame_offsets"))
    return max(
        shard.videos,
        key=lambda each: (each.frames, float(num_F[slice(*shard.video_rows(each.id))].std())),
    )


def _chosen(shard: Shard, video_id: str) -> list[int]:
    """Some frames of a video, spread over it."""
    start, stop = shard.video_rows(video_id)
    index_f = shard.frame_index()[start:stop]
    places = np.linspace(0, len(index_f) - 1, _FRAMES_BESIDE + 2)[1:-1].round().astype(int)
    return [int(index_f[place]) for place in places]


def _frames(shard: Shard, pictures: Pictures, folder: Path) -> Image.Image:
    """Frames of a video beside each other."""
    video = _varied(shard)
    drawn = []
    for index in _chosen(shard, video.id):
        frame = find_frame(shard, video_id=video.id, index=index)
        path = folder / f"{index}.png"
        draw_picture(frame, pictures, path, score_threshold=0.5)
        drawn.append(np.asarray(Image.open(path)))
    return Image.fromarray(np.concatenate(drawn, axis=1))


def _photograph(
    browser: Any, page_path: Path, place: str, *, width: int, dark: bool = False
) -> Image.Image:
    """The page at a frame, its best object chosen."""
    page = browser.new_page(
        viewport={"width": width, "height": 1100 if width > 800 else 860},
        color_scheme="dark" if dark else "light",
    )
    try:
        page.goto(page_path.as_uri() + place)
        page.click("#objects button >> nth=0")
        page.wait_for_timeout(500)
        return Image.open(io.BytesIO(page.screenshot()))
    finally:
        page.close()


def save_picture(picture: Image.Image, path: Path) -> Path:
    """Writes a WebP that is small enough to be kept."""
    for quality in (85, 70, 55, 40):
        held = io.BytesIO()
        picture.convert("RGB").save(held, format="WEBP", quality=quality, method=6)
        if held.tell() <= _LARGEST_BYTES:
            break
    write_bytes(path, held.getvalue())
    return path


@click.command()
@click.argument("shard", type=click.Path(path_type=Path, exists=True, dir_okay=False))
@click.option("--data", "data_root", type=click.Path(path_type=Path), default=Path("data"))
@click.option("--out", type=click.Path(path_type=Path), default=Path("docs/figures"))
def make(shard: Path, data_root: Path, out: Path) -> None:
    """Make the pictures of SHARD."""
    pictures = pictures_of_shard(shard, None, data_root)
    with headless_chromium() as browser:
        for path in make_pictures(browser, Shard(shard), pictures, out):
            click.echo(f"{path} {path.stat().st_size:,} bytes")


if __name__ == "__main__":
    make()
