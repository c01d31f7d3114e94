"""Write the films and the label table of the demo world.

The random numbers of a film depend only on the world's seed, the split and the number of the film.
A film that exists is never drawn again.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path

import av
import cv2
import numpy as np

from orn.demo.render_video import render
from orn.demo.scene import (
    FRAMES_PER_SECOND,
    HEIGHT,
    LABELS,
    WIDTH,
    Scene,
    draw_label,
    plan_scene,
)
from orn.shared.environment import usable_cores
from orn.shared.errors import PipelineError
from orn.shared.jobs.atomic_file import replacing, write_text
from orn.shared.jobs.outputs import begun_with, check_output_folder, check_same_job
from orn.shared.jobs.progress import SILENT, Reporter
from orn.shared.jobs.workers import in_workers
from orn.shared.text import counted
from orn.shared.text_summary import Outcome

WORLD = "demo"
"""Name of the data set."""
TABLE_NAME = "labels.csv"
"""Name of the label table, which is written last."""
WORLD_VERSION = 3
"""Increased whenever the same seed produces different films."""
PARTS = ("train", "validation", "test")
LOST = PipelineError(
    "films: a process ended abruptly, perhaps out of memory; run the command again"
)

# No B-frames and no lookahead: with them, x264's output is not deterministic.
_ENCODER = {
    "crf": "20",
    "preset": "veryfast",
    "threads": "1",
    "bf": "0",
    "x264-params": "rc-lookahead=0:mbtree=0",
}


def write_film(path: Path, scene: Scene) -> None:
    """Render a scene to an MP4 file of 160 x 120 pixels at 8 Hz."""
    with replacing(path) as temporary, av.open(str(temporary), "w", format="mp4") as container:
        stream = container.add_stream("libx264", rate=Fraction(FRAMES_PER_SECOND))
        stream.width, stream.height, stream.pix_fmt = WIDTH, HEIGHT, "yuv420p"
        stream.codec_context.options = _ENCODER
        for rendered in render(scene):
            picture = av.VideoFrame.from_ndarray(rendered.image, format="rgb24")
            container.mux(stream.encode(picture))
        container.mux(stream.encode())


@dataclass(frozen=True, slots=True, kw_only=True)
class Film:
    """A film of the world."""

    part: str
    number: int
    seed: int
    """Seed of the world."""

    @property
    def id(self) -> str:
        """Id of the video."""
        return f"{self.part}-{self.number:06d}"

    def rng(self) -> np.random.Generator:
        """Return the random generator of the film, which is different for every film."""
        return np.random.default_rng([self.seed, PARTS.index(self.part), self.number])

    def path(self, folder: Path) -> Path:
        """Return the file of the film in the folder of the world."""
        return folder / "videos" / f"{self.id}.mp4"


_FILMS = {"train": 560, "validation": 200}
"""Number of films per split of the demo."""


def write_world(
    root: Path,
    reporter: Reporter = SILENT,
    *,
    films: Mapping[str, int],
    seed: int,
    workers: int,
) -> int:
    """Draw the missing films of the world and write it to `root / WORLD`.

    Args:
        root: folder of all data sets.
        films: number of films of each of `PARTS`.
        seed: seed of the world.
        workers: number of processes.

    Returns:
        The number of films drawn by this call.

    Raises:
        ConfigError: if the folder has a world with a different seed or size.
    """
    folder = root / WORLD
    record = folder / "world.json"
    if not record.exists():
        check_output_folder(folder, marker=None)
    identity = {"version": WORLD_VERSION, "seed": seed, "films": dict(films)}
    remedy = "remove the folder or choose a different one with --data"
    check_same_job(begun_with(record, identity), identity, where=folder, remedy=remedy)
    if (folder / TABLE_NAME).exists():
        return 0
    world = [
        Film(part=part, number=number, seed=seed)
        for part, count in films.items()
        for number in range(count)
    ]
    missing = [(film, folder) for film in world if not film.path(folder).exists()]
    with reporter.progress("draw", total=len(missing), unit="films") as bar:
        for _ in in_workers(_draw, missing, workers=workers, lost=LOST):
            bar.advance()
    write_text(folder / "classes.txt", "\n".join(LABELS) + "\n")
    rows = (f"{film.id},{LABELS[draw_label(film.rng())]},{film.part}\n" for film in world)
    write_text(folder / TABLE_NAME, "".join(("video,label,split\n", *rows)))
    return len(missing)


def _draw(task: tuple[Film, Path]) -> None:
    cv2.setNumThreads(1)
    film, folder = task
    write_film(film.path(folder), plan_scene(film.rng()))


@dataclass(frozen=True, slots=True, kw_only=True)
class WorldConfig:
    """What `draw_world` does."""

    data_root: Path
    """Folder of all data sets."""
    seed: int = 0
    """Random seed."""


def draw_world(config: WorldConfig, reporter: Reporter = SILENT) -> Outcome:
    """Draw the missing films of the demo."""
    root = config.data_root
    drawn = write_world(root, reporter, films=_FILMS, seed=config.seed, workers=usable_cores())
    done = f"{counted(drawn, 'film')} drawn" if drawn else "complete"
    return Outcome({"drawn": drawn}, lambda _: f"{root / WORLD}: {done}")
