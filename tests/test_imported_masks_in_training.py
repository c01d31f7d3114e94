"""Imported masks meet the frames of their video as shards of our own do."""

from pathlib import Path
from typing import Any

import pytest

from tests.worlds.videos import numbered_image, write_pictures

TICKS = {
    "start": [1, *range(4, 43)],
    "middle": [*range(20), 25, 26, 37, *range(38, 55)],
    "end": [*range(36), 42, 43, 50, 61],
}
"""Times of the 40 frames of each film, in thirtieths of a second."""


@pytest.mark.parametrize("lost", [None, 16])
def test_objects_on_every_eighth_frame_of_files_with_gaps_in_their_times(
    orn: Any, tmp_path: Path, lost: int | None, caplog: Any
) -> None:
    """Such as DivX files; a frame whose objects are missing is refused."""
    rows, objects = ["video,label,split"], ["video,frame,x1,y1,x2,y2,class,score"]
    for name, ticks in TICKS.items():
        path = tmp_path / "kitchen" / f"{name}.avi"
        pictures = map(numbered_image, range(len(ticks)))
        write_pictures(path, pictures, rate=30, codec="mpeg4", pts=ticks)
        rows += [f"{name},{'open' if name == 'start' else 'close'},train"]
        frames = [frame for frame in range(0, 40, 8) if frame != lost]
        objects += [f"{name},{frame},10,5,60,25,cup,0.9" for frame in frames]
    (tmp_path / "kitchen/labels.csv").write_text("\n".join(rows))
    (tmp_path / "objects.csv").write_text("\n".join(objects))
    manifest, data = tmp_path / "kitchen.toml", ("--data", tmp_path)
    orn("manifest", "new", tmp_path / "kitchen/labels.csv", *data, "--out", manifest)
    places = {"--shards": tmp_path / "shards", "--clips": tmp_path / "clips"}
    orn("clips", manifest, *data, "--size", "32x160", "--out", places["--clips"])
    source = (tmp_path / "objects.csv", "--format", "csv", "--out", places["--shards"])
    orn("import-objects", manifest, *source, *data)
    words = [word for option in places.items() for word in option]
    crop = ("--recipe", "demo", "--set", "data.crop=[32,160]", "--set", "data.flip=false")
    ran = orn("train", manifest, *data, *words, *crop, "--dry-run", exit_code=None)
    assert ran.exit_code == (0 if lost is None else 1), ran.stderr
    assert caplog.text.count("have no detections near") == (lost is not None)
