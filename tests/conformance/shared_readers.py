"""Readers of what others give: manifests, tables, shards, masks, videos."""

import json
import zipfile
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import av
import numpy as np

from orn.shared.inspect.page.write import write_page
from orn.shared.inspect.pictures import NoPictures
from orn.shared.inspect.summary import summarise, summary_to_dict
from orn.shared.jobs.plan import Plan, plan_units
from orn.shared.manifests.load import load_dataset
from orn.shared.shards.column import write_group
from orn.shared.shards.reader import DetectionFolder
from orn.shared.shards.record import read_record
from orn.shared.shards.shard import Shard
from orn.shared.shards.verify import verify_shard
from orn.shared.video.read import estimate, read_frames
from orn.shared.video.reader import VideoTimes
from orn.stage1_detect.imports.authors_vlog import read_authors
from orn.stage1_detect.imports.epic100 import read_epic100
from orn.stage1_detect.imports.formats import RECORDS, find_videos
from orn.stage1_detect.imports.records import frames_of_records
from orn.stage1_detect.imports.request import FormatName, ImportRequest
from tests.conformance.damage import CSV, JSON, TOML, Cases, Damage, Document, json_text
from tests.conformance.datasets import DATASETS, write_dataset
from tests.conformance.reader import NUMBERED, TEXT, Reader, any_number, any_text, ignored, optional
from tests.shared.shards.conftest import arrays_in, columns_of
from tests.stage1_detect.imports.conftest import block_mask, write_authors, write_epic
from tests.worlds.films import make_film, write_films_shard
from tests.worlds.videos import write_folder, write_numbered

# Manifests and tables --------------------------------------------------------------------------


def _dataset_reader(kind: str, name: str) -> Reader:
    def read(path: Path) -> Any:
        root = path.parents[name.count("/")]
        found = load_dataset(root / "m.toml", root)
        return found.name, found.classes, found.missing, found.segments, len(found.videos)

    suffix = name.rpartition(".")[2].rpartition("/")[2]
    documents = {"toml": (TOML,), "json": (JSON,), "csv": (CSV,), "t": (CSV,)}.get(suffix, ())
    return Reader(
        name=f"{kind}: {name.rpartition('/')[2]}",
        make=lambda folder: write_dataset(folder, kind) / name,
        read=read,
        documents=documents,
        accepts=(
            *(*TEXT, "empty: ", "other: *"),
            *any_text("name", "title", "labels.*", "*.template", "*.id"),
            *optional("labels.target", "labels.verbs", "Closing it"),
            *("value unknown: [01].*", "value text: 1.1"),
            *ignored("[01].[01]" if kind.startswith("epic") else "1.0"),
        ),
        own=(Damage(name="arrays", apply=_odd_npy),) if suffix == "npy" else (),
    )


# Arrays ----------------------------------------------------------------------------------------

ODD_ARRAYS = {
    "objects": np.array([["a", {}], [{}, None]], object),
    "text": np.array([["1", "0"], ["1", "0"]]),
    "fields": np.zeros((2, 2), [("a", "i4"), ("b", "i4")]),
    "complex": np.zeros((2, 2), "complex64"),
    "NaN": np.array([[1, 0], [np.nan, 0]]),
    "infinite": np.array([[1, 0], [0, np.inf]]),
    "scalar": np.array(3),
    "one axis": np.zeros(4, np.float32),
    "three axes": np.zeros((2, 3, 4), np.float32),
    "other rows": np.zeros((3, 3), np.float32),
}


def _odd_npy(path: Path) -> Cases:
    """Arrays of other types and shapes, and a file that claims a terabyte."""
    good = path.read_bytes()
    for name, array in ODD_ARRAYS.items():
        with path.open("wb") as file:
            np.save(file, array, allow_pickle=True)
        yield name, path
    path.write_bytes(good.replace(b"(2, 2)", b"(1000000000000,)"))
    yield "a terabyte", path


# Shards ----------------------------------------------------------------------------------------

FILMS = [
    make_film(f"film/{number}", label=number, num_frames=4, rng=np.random.default_rng(number))
    for number in range(2)
]


def _make_shard(folder: Path) -> Path:
    write_films_shard(folder / "shard-000000.zarr.zip", FILMS)
    return folder / "shard-000000.zarr.zip"


def _read_shard(path: Path) -> Any:
    """As `orn verify`, `orn inspect` and a training; verification tells of all damage."""
    shard = Shard(path)
    problems = [problem.message for problem in verify_shard(path)]
    frames = [shard.frame(row) for row in range(shard.num_frames)]
    video = DetectionFolder(path.parent).video("film/0")
    write_page(shard, NoPictures("none"), path.with_name("page.html"))
    return (
        [(each.boxes.tolist(), each.scores.tolist(), each.masks) for each in frames],
        video.seconds.tolist(),
        json.dumps(
            summary_to_dict(replace(summarise(shard), path=Path("s"), size_bytes=0)),
            allow_nan=False,
        ),
        problems,
    )


def repacked(path: Path, change: Callable[[dict[str, bytes]], Any]) -> None:
    """Packs a ZIP anew, with checksums that match."""
    with zipfile.ZipFile(path) as source:
        members = {name: source.read(name) for name in source.namelist()}
    change(members)
    with zipfile.ZipFile(path, "w") as file:
        for name, content in members.items():
            file.writestr(name, content)


def _member(name: str) -> Document:
    """A JSON document in a ZIP."""

    def get(path: Path) -> Any:
        with zipfile.ZipFile(path) as file:
            return json.loads(file.read(name))

    def put(path: Path, tree: Any) -> None:
        repacked(path, lambda members: members.update({name: json_text(tree).encode()}))

    return Document(get=get, put=put)


ODD_NUMBERS = (np.nan, np.inf, -1, 0, 80, 2**62)


def _odd_columns(path: Path) -> Cases:
    """Numbers that no detector gives, with the right checksums."""
    attributes, content = read_record(path).attributes.to_json(), arrays_in(path)
    for name, values in content.items():
        for number in ODD_NUMBERS:
            flat = values.copy().reshape(-1)
            with np.errstate(all="ignore"):
                flat[len(flat) // 2 :][:2] = np.array(number).astype(flat.dtype)
            odd = {**content, name: flat.reshape(values.shape)}
            write_group(path, columns=columns_of(odd), attributes=attributes)
            yield f"{name} {number}", path


def _make_plan(folder: Path) -> Path:
    units = plan_units([("a", 2100), ("b", None)])
    Plan(dataset="demo", frames="all", units=units).save(folder)
    return folder / "plan.json"


# Masks of others -------------------------------------------------------------------------------

FOUND = ((10, 20, 50, 75), block_mask(10, 20, 50, 75), 0.75, 3)
SHARE = ((0.1, 0.2, 0.5, 0.75), block_mask(10, 20, 50, 75), 0.625, 3)


def _read_track(read: Callable[[Path], Any]) -> Callable[[Path], Any]:
    def track(path: Path) -> Any:
        return [
            (each.place, each.left_out, found.boxes.tolist(), found.scores.tolist(), found.masks)
            for each in read(path)
            for found in [each.detections]
        ]

    return track


COCO = {
    "images": [{"id": 1, "file_name": "a/0001.jpg", "height": 6, "width": 8}],
    "annotations": [
        {
            "image_id": 1,
            "category_id": 2,
            "bbox": [1, 2, 3, 2],
            "score": 0.5,
            "segmentation": [[1, 2, 4, 2, 4, 4, 1, 4]],
        },
        {
            "image_id": 1,
            "category_id": 2,
            "bbox": [1, 2, 3, 2],
            "segmentation": {"size": [6, 8], "counts": [8, 2, 38]},
        },
    ],
    "categories": [{"id": 2, "name": "cup"}],
    "videos": [{"id": 1, "name": "a"}],
}
SOMETHING_ELSE = {
    "2": [
        {
            "name": "2/0001.jpg",
            "labels": [{"box2d": {"x1": 1, "y1": 2, "x2": 3, "y2": 4}, "category": "hand"}],
        }
    ]
}
BOXES = "video,frame,x1,y1,x2,y2,class,score\na,0,1,2,3,4,cup,0.5\nb,3,1,2,3,4,pan,0.5\n"


_FREE = tuple(
    f"value {kind}: *"
    for kind in ("negative", "2??40", "null", "no text", "text", "missing", "unknown")
)
"""Ids, names and coordinates may be any, and much may be left out."""


def _read_records(form: FormatName) -> Callable[[Path], Any]:
    def read(path: Path) -> Any:
        videos, names = find_videos(ImportRequest(dataset="any", source=path, form=form))
        return [
            (video.id, frame.place, frame.left_out, found.boxes.tolist(), found.scores.tolist())
            for video in videos
            for frame in frames_of_records(
                video,
                RECORDS[form].objects_in,
                np.ones(len(np.unique(video.places_R)), np.bool_),
                grid=video.grid or (6, 8),
                classes=names,
            )
            for found in [frame.detections]
        ]

    return read


def _record_reader(form: FormatName, text: str, *accepts: str) -> Reader:
    def make(folder: Path) -> Path:
        path = folder / f"source{RECORDS[form].suffix}"
        path.write_text(text)
        return path

    document = CSV if form == "csv" else JSON
    return Reader(
        name=f"objects of {form}",
        make=make,
        read=_read_records(form),
        documents=(document,),
        accepts=(*TEXT, *NUMBERED, *_FREE, *accepts),
    )


# Videos ----------------------------------------------------------------------------------------

CODECS = {
    "h264.mp4": ("libx264", {"g": "5"}),
    "hevc.mp4": ("libx265", {"x265-params": "keyint=5:log-level=none"}),
    "part2.avi": ("mpeg4", {"g": "5"}),
    "vp9.webm": ("libvpx-vp9", {"g": "5"}),
    "h264.ts": ("libx264", {"g": "5"}),
}


def _read_video(path: Path) -> Any:
    estimate(path, rate=10.0)
    VideoTimes.of(path, rate=10.0)
    return len(list(read_frames(path, rate=10.0, start=1, stop=3))), len(list(read_frames(path)))


def _video_reader(name: str) -> Reader:
    codec, options = CODECS[name]
    return Reader(
        name=name,
        make=lambda folder: write_numbered(folder / name, 6, codec=codec, options=options),
        read=_read_video,
        accepts=("cut: *", "flipped: *", "longer: *", "twice: *", "other: *"),
        skips=("sparse",),  # FFmpeg looks through all of a file
        slow=name not in ("h264.mp4", "vp9.webm"),
    )


SHARED: tuple[Reader, ...] = (
    *(_dataset_reader(kind, name) for kind, files in DATASETS.items() for name in files),
    Reader(
        name="shard",
        make=_make_shard,
        read=_read_shard,
        documents=tuple(_member(name) for name in ("zarr.json", "boxes/zarr.json")),
        most_edits=3,
        accepts=(
            *ignored("codecs*configuration*", "storage_transformers*", "dimension_names*"),
            *ignored("chunk_key_encoding*", "chunk_grid.name", "fill_value", "attributes"),
            *ignored("zarr_format", "node_type"),
            *any_text("attributes.detector.*", "*.id", "*.source_digest", "*.sample_aspect"),
            *any_number("*.rate", "*.source_bytes", "*.header_frames"),
            *optional(
                "attributes.detector.*",
                "attributes.left_out",
                "*.sample_aspect",
            ),
            *("value unknown: *", "columns: *"),
        ),
        own=(Damage(name="columns", apply=_odd_columns),),
    ),
    Reader(
        name="plan",
        make=_make_plan,
        read=lambda path: Plan.load(path.parent),
        documents=(JSON,),
        accepts=(
            *(*TEXT, "absent: ", "value table: settings", "value true: format_version"),
            *any_number("unit_frames", "*.stop", "units.*.frames"),
            "value 2??40: *.start",
            *any_text("dataset", "frames", "data_root", "*.video_id", "detector.*"),
            *optional(
                "format",
                "format_version",
                "unit_frames",
                "settings",
                "manifest",
                "data_root",
                "detector.*",
                "*.ranges",
                "*.start",
                "*.stop",
                "units.*.frames",
            ),
        ),
    ),
    Reader(
        name="masks of VLOG's authors",
        make=lambda folder: write_authors(folder / "clip.pkl", [[FOUND], [], [FOUND, FOUND]]),
        read=_read_track(read_authors),
        accepts=("flipped: *",),
    ),
    Reader(
        name="masks of EPIC-KITCHENS-100",
        make=lambda folder: write_epic(folder / "P01_01.pkl", [(1, [SHARE]), (4, [SHARE])]),
        read=_read_track(read_epic100),
        accepts=("flipped: *", "other: far memo"),
    ),
    _record_reader("coco", json.dumps(COCO)),
    _record_reader("something-else", json.dumps(SOMETHING_ELSE), "value control: *category"),
    _record_reader("csv", BOXES, "value *: ?.0", "value *: ?.6", "value *: 0.*"),
    *(_video_reader(name) for name in CODECS if CODECS[name][0] in av.codecs_available),
    Reader(
        name="JPEG in a folder",
        make=lambda folder: write_folder(folder, [("1.jpg", 1), ("2.jpg", 2)]) / "2.jpg",
        read=lambda path: len(list(read_frames(path.parent, rate=10.0))),
        accepts=("*",),
    ),
)
