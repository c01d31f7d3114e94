"""Generated data set the size of VLOG: tables, videos and shards."""

import json
import zipfile
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path

import numpy as np

from orn.benchmarks.made_inputs import (
    ENTRY,
    ellipses,
    moving_pictures,
    write_detections,
    write_video,
)
from orn.shared.shards.column import write_members
from orn.shared.shards.files import shard_path
from orn.shared.shards.schema import ShardAttributes, read_attributes
from orn.shared.shards.writer import ShardWriter

FRAMES, RATE = 250, 25.0
"""Length and rate of each video in the shards, as in VLOG; the files have fewer frames."""
_FILE_FRAMES = 24
_CLASSES = 30
_LINKS = 50_000
"""Number of links to a file; file systems do not allow many more."""
_DIFFERENT = 7
"""Number of distinct frames, which repeat."""


def make_videos(root: Path, videos: int) -> list[Path]:
    """Write VLOG's tables, and links to one small video in VLOG's folder structure."""
    ids = [f"{n % 10}/{n // 10 % 10}/{n // 100 % 10}/v_{n // 4:08d}/{n:06d}" for n in range(videos)]
    (root / "meta" / "hand_object").mkdir(parents=True)
    content = write_video(
        root / "one.mp4", moving_pictures(_FILE_FRAMES, height=32, width=48)
    ).read_bytes()
    paths = [root / "videos" / each / "clip.mp4" for each in ids]
    for number, path in enumerate(paths):
        path.parent.mkdir(parents=True)
        if number % _LINKS == 0:
            path.write_bytes(content)
        else:
            path.hardlink_to(paths[number - number % _LINKS])
    generator = np.random.default_rng(0)
    (root / "meta" / "manifest.txt").write_text("".join(f"{each}/\n" for each in ids))
    splits = generator.integers(0, 4, videos)
    (root / "meta" / "splitId.txt").write_text("".join(f"{split}\n" for split in splits))
    classes = "".join(f"class {number}\n" for number in range(_CLASSES))
    (root / "meta" / "hand_object" / "hand_object_labels.txt").write_text(classes)
    matrix_NA = generator.integers(-1, 2, (videos, _CLASSES))
    np.save(root / "meta" / "hand_object" / "hand_object.npy", matrix_NA)
    return paths


def make_shards(folder: Path, parts: Sequence[Sequence[str]]) -> None:
    """Write a shard for each list of videos; shards of the same length differ only in ids."""
    patterns: dict[int, tuple[dict[str, bytes], ShardAttributes]] = {}
    folder.mkdir()
    for number, ids in enumerate(parts):
        if len(ids) not in patterns:
            patterns[len(ids)] = _pattern(folder / "pattern.zip", len(ids))
        members, attributes = patterns[len(ids)]
        group = json.loads(members["zarr.json"])
        entries = zip(ids, attributes.videos, strict=True)
        group["attributes"]["videos"] = [asdict(each) | {"id": name} for name, each in entries]
        changed = json.dumps(group).encode()
        write_members(shard_path(folder, number), members | {"zarr.json": changed})


def _pattern(path: Path, num_videos: int) -> tuple[dict[str, bytes], ShardAttributes]:
    generator = np.random.default_rng(0)
    frames = [ellipses(generator) for _ in range(_DIFFERENT)]
    digest = f"sha256:{'0' * 64}"
    with ShardWriter(path, ENTRY, "label") as writer:
        for number in range(num_videos):
            stream = (frames[place % _DIFFERENT] for place in range(FRAMES))
            write_detections(writer, f"{number}", stream, rate=RATE, source_digest=digest)
    with zipfile.ZipFile(path) as file:
        members = {name: file.read(name) for name in file.namelist()}
    attributes = read_attributes(members["zarr.json"], source=str(path))
    path.unlink()
    return members, attributes
