"""Convert a video to the README's animated image: python docs/figures/film.py FILM.mp4 OUT.webp.

`make demo` leaves such a video, runs/demo/film.mp4.
"""

import sys
from itertools import pairwise
from pathlib import Path

from PIL import Image

from orn.shared.video.read import read_frames

_WIDTH = 640
_PAUSE_SECONDS = 1.5
"""Pause before the video repeats."""

film, out = map(Path, sys.argv[1:])
frames = list(read_frames(film))
times = [frame.seconds for frame in frames]
seconds = [after - before for before, after in pairwise(times)] + [_PAUSE_SECONDS]
pictures = [Image.fromarray(frame.image) for frame in frames]
for picture in pictures:
    picture.thumbnail((_WIDTH, _WIDTH))
pictures[0].save(
    out,
    save_all=True,
    append_images=pictures[1:],
    duration=[round(1000 * time_seconds) for time_seconds in seconds],
    loop=0,
    quality=80,
)
