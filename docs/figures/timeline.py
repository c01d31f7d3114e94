"""Make the picture of docs/when.md after `make demo`: python docs/figures/timeline.py FOLDER.

Joins films of the demo to longer ones, in which the label of an interval is the dish that is taken
away, trains on them in the folder, and photographs the timeline of one that trained nothing. For
the browser, see pages.py.
"""

import csv
import io
import os
import subprocess
import sys
from itertools import count
from pathlib import Path

import av
from PIL import Image
from playwright.sync_api import sync_playwright

from orn.shared.video.read import read_frames

FILMS, JOINED, RATE = 31, 8, 8
"""Number of films, films of the demo in each, and frames per second."""


def write_joined(path: Path, sources: list[Path]) -> list[float]:
    """Write films one after another, each after a second of its first frame; return the times at
    which they begin."""
    starts, numbers = [], count()
    with av.open(str(path), "w") as container:
        stream = container.add_stream("libx264", rate=RATE, options={"crf": "16"})
        for source in sources:
            images = [frame.image for frame in read_frames(source)]
            if not starts:
                stream.height, stream.width = images[0].shape[:2]
            for place, image in enumerate(images[:1] * RATE + images):
                picture = av.VideoFrame.from_ndarray(image, format="rgb24")
                picture.pts = next(numbers)
                if place == RATE:
                    starts.append(picture.pts / RATE)
                container.mux(stream.encode(picture))
        container.mux(stream.encode())
    return starts


folder = Path(sys.argv[1])
(folder / "films" / "videos").mkdir(parents=True)
with Path("data/demo/labels.csv").open() as table:
    rows = [row for row in csv.DictReader(table) if row["split"] == "train"]
lines = ["video,start,stop,label"]
for number in range(FILMS):
    joined = rows[number * JOINED : (number + 1) * JOINED]
    name = f"videos/table-{number + 1:02d}.mp4"
    videos = [Path("data/demo/videos") / f"{row['video']}.mp4" for row in joined]
    starts = write_joined(folder / "films" / name, videos)
    if number + 1 < FILMS:
        for start, row in zip(starts, joined, strict=True):
            lines.append(f"{name},{start},{start + 1},{row['label'].split(':')[0]}")
(folder / "films" / "labels.csv").write_text("\n".join(lines) + "\n")
run = ("run", "films/labels.csv", "--intervals", "--config", "mask_rcnn_demo", "--yes")
film = f"films/videos/table-{FILMS:02d}.mp4"
for words in (run, ("predict", "runs/films-small-seed0", film, "--html", "film.html")):
    subprocess.run(["orn", *words], check=True, cwd=folder)
with sync_playwright() as playwright:
    browser = playwright.chromium.launch(executable_path=os.environ.get("CHROMIUM"))
    page = browser.new_page(viewport={"width": 1200, "height": 860})
    page.goto((folder.resolve() / "film.html").as_uri())
    page.keyboard.press("n")
    page.keyboard.press("0")
    page.wait_for_timeout(1000)
    picture = Image.open(io.BytesIO(page.screenshot()))
picture.convert("RGB").save(Path(__file__).parent / "timeline.webp", quality=70, method=6)
