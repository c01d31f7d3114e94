"""Objects in files of supervision and ultralytics. The texts were written by supervision 0.31.2
(`CSVSink`, `JSONSink`) and ultralytics 8.4.190 (`Results.save_txt`)."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from pycocotools import mask as coco_mask

from orn.inspection.verify import verify_shard
from orn.shared.shards.shard import Shard
from tests.worlds.tables import counted_videos

HEIGHT, WIDTH = 48, 64
SINK_CSV = """\
x_min,y_min,x_max,y_max,class_id,confidence,tracker_id,class_name,frame_number\r
1.0,1.5,4.0,3.0,1,0.5,7,cup,3\r
10.0,20.0,30.25,40.0,0,0.75,3,my thing,3\r
0.0,0.0,2.0,2.0,1,0.25,7,cup,5\r
"""
SINK_JSON = """\
[
    {
        "x_min": 1.0,
        "y_min": 1.5,
        "x_max": 4.0,
        "y_max": 3.0,
        "class_id": 1,
        "confidence": 0.5,
        "tracker_id": 7,
        "class_name": "cup",
        "frame_number": 3
    },
    {
        "x_min": 10.0,
        "y_min": 20.0,
        "x_max": 30.25,
        "y_max": 40.0,
        "class_id": 0,
        "confidence": 0.75,
        "tracker_id": 3,
        "class_name": "my thing",
        "frame_number": 3
    },
    {
        "x_min": 0.0,
        "y_min": 0.0,
        "x_max": 2.0,
        "y_max": 2.0,
        "class_id": 1,
        "confidence": 0.25,
        "tracker_id": 7,
        "class_name": "cup",
        "frame_number": 5
    }
]"""
WITHOUT_OPTIONAL_CSV = """\
x_min,y_min,x_max,y_max,class_id,confidence,tracker_id,Frame\r
1.0,1.5,4.0,3.0,1,,,3\r
"""
WITHOUT_OPTIONAL_JSON = """\
[
    {
        "x_min": 1.0,
        "y_min": 1.5,
        "x_max": 4.0,
        "y_max": 3.0,
        "class_id": 1,
        "confidence": "",
        "tracker_id": "",
        "Frame": 3
    }
]"""
BOXES = ("1 0.1875 0.375 0.25 0.5", "0 0.75 0.5 0.5 1")
SQUARE = "0.0625 0.125 0.0625 0.604167 0.296875 0.604167 0.296875 0.125"
TWO_PARTS = (
    "0.625 0.625 0.625 0.979167 0.765625 0.979167 0.765625 0.625 0.625 0.625 0.5 0.479167 "
    "0.984375 0.479167 0.984375 0 0.5 0 0.5 0.479167"
)
POLYGONS = (f"1 {SQUARE}", f"0 {TWO_PARTS}")


@pytest.fixture
def manifest(tmp_path: Path) -> Path:
    """The videos a and b of 8 and 3 frames, 10 a second, and the names of two classes."""
    (tmp_path / "names.txt").write_text("mouse\npipette\n")
    return counted_videos(tmp_path, {"a": 8, "b": 3})


@pytest.fixture
def objects(orn: Any, manifest: Path, tmp_path: Path) -> Callable[..., tuple[Any, Shard]]:
    """Imports a source; gives the summary and the shard, which is whole."""
    places = ("--data", tmp_path / "data", "--out", tmp_path / "shards", "--fresh", "--json")

    def run(source: Path, *words: Any, exit_code: int = 0) -> tuple[Any, Shard]:
        command = ("import-objects", manifest, source, *places, *words)
        summary = orn(*command, exit_code=exit_code).json
        (path,) = (tmp_path / "shards").glob("shard-*")
        assert verify_shard(path) == []
        return summary, Shard(path)

    return run


@pytest.fixture
def refused(orn: Any, manifest: Path, tmp_path: Path) -> Callable[..., str]:
    """Gives the message for a source that cannot be imported."""

    def run(source: Path, *words: Any, exit_code: int = 1) -> str:
        command = ("import-objects", manifest, source, "--data", tmp_path / "data", "--dry-run")
        *_, message = orn(*command, *words, exit_code=exit_code).stderr.splitlines()
        return str(message)

    return run


def write(path: Path, text: str) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text, newline="")
    return path


def labels(folder: Path, **files: list[str]) -> Path:
    """A folder of label files, by their names."""
    for name, lines in files.items():
        write(folder / "labels" / f"{name}.txt", "".join(f"{line}\n" for line in lines))
    return folder / "labels"


@pytest.mark.parametrize(("name", "text"), [("a.csv", SINK_CSV), ("a.json", SINK_JSON)])
def test_sinks_of_supervision(objects, tmp_path, name, text) -> None:
    summary, shard = objects(write(tmp_path / name, text), "--format", "supervision")
    assert (summary["left_out"], shard.detector.class_names) == ([], ("cup", "my thing"))
    assert [video.id for video in shard.videos] == ["a"]
    assert shard.frame_index().tolist() == [*range(8)]  # those without objects as well
    assert [len(shard.frame(row)) for row in range(8)] == [0, 0, 0, 2, 0, 1, 0, 0]
    frame = shard.frame(3)
    assert frame.boxes.tolist() == [[1, 1.5, 4, 3], [10, 20, 30.25, 40]]
    assert frame.scores.tolist() == [0.5, 0.75] and frame.labels.tolist() == [0, 1]
    assert shard.array("tracks").tolist() == [7, 3, 7]
    assert frame.mask_arrays()[1].sum() == 21 * 20


@pytest.mark.parametrize(
    ("name", "text"), [("a.csv", WITHOUT_OPTIONAL_CSV), ("a.json", WITHOUT_OPTIONAL_JSON)]
)
def test_a_sink_without_names_scores_and_tracks(objects, refused, tmp_path, name, text) -> None:
    source = write(tmp_path / "sinks" / name, text)
    words = ("--format", "supervision")
    message = refused(source, *words)
    assert "expected class_name, or one of 0 classes as class_id, got 1; pass --classes" in message
    _, shard = objects(source.parent, *words, "--classes", tmp_path / "names.txt")
    assert shard.detector.class_names == ("mouse", "pipette")
    frame = shard.frame(3)
    assert (frame.scores.tolist(), frame.labels.tolist(), frame.tracks) == ([1], [1], None)


def test_sinks_at_another_rate_and_of_several_videos(objects, tmp_path: Path) -> None:
    entry = {"x_min": 0, "y_min": 0, "x_max": 2, "y_max": 2, "class_name": "cup"}
    rows = [entry | {"frame": 1, "video": name} for name in ("a", "b.mp4")]
    source = write(tmp_path / "sinks.json", json.dumps(rows))
    _, shard = objects(source, "--format", "supervision", "--rate", 5)
    assert [video.id for video in shard.videos] == ["a", "b"]
    assert shard.frame_index().tolist() == [0, 2, 4, 6, 0, 2]
    assert [len(shard.frame(row)) for row in range(6)] == [0, 1, 0, 0, 0, 1]


@pytest.mark.parametrize(
    ("name", "text", "message"),
    [
        ("a.csv", SINK_CSV.replace("frame_number", "when"), "missing key 'frame_index'"),
        ("a.csv", SINK_CSV.replace("x_min", "left"), "expected the columns of CSVSink"),
        ("a.csv", SINK_CSV.replace("0.75", "nan"), "line 3: confidence"),
        ("a.csv", SINK_CSV.replace("class_id", "x_min"), "expected different columns"),
        ("a.json", SINK_JSON.replace("30.25", "NaN"), "expected JSON in UTF-8"),
        ("a.json", SINK_JSON.replace(": 5", ": 5.5"), "record 3: frame_number"),
        ("a.json", "[1]", "record 1: "),
    ],
)
def test_a_file_of_no_sink_is_refused(refused, tmp_path, name, text, message) -> None:
    assert message in refused(write(tmp_path / name, text), "--format", "supervision")


@pytest.mark.parametrize(
    ("after", "scores", "tracks"),
    [
        (("", ""), [1, 1], None),
        ((" 0.75", " 0.5"), [0.75, 0.5], None),
        ((" 7", " 3"), [1, 1], [7, 3]),
        ((" 0.75 7", " 0.5 3"), [0.75, 0.5], [7, 3]),
        ((" 1 1", " 0.5 2"), [1, 0.5], [1, 2]),
    ],
)
def test_labels_of_ultralytics(objects, tmp_path, after, scores, tracks) -> None:
    folders = {}
    for kind, own in (("boxes", BOXES), ("polygons", POLYGONS)):
        lines = [line + end for line, end in zip(own, after, strict=True)]
        folders[kind] = labels(tmp_path / kind, a_3=lines, b_1=lines[:1], c_2=[])
    words = ("--format", "ultralytics", "--classes", tmp_path / "names.txt")
    for kind, source in folders.items():
        summary, shard = objects(source, *words)
        assert summary["unmatched"] == [f"{source}: c"] and summary["left_out"] == []
        assert shard.frame_index().tolist() == [*range(8), *range(3)]
        assert [len(shard.frame(row)) for row in (1, 2, 3, 8, 9)] == [0, 2, 0, 1, 0]
        frame = shard.frame(2)
        assert frame.labels.tolist() == [1, 0]
        np.testing.assert_allclose(frame.scores, scores)
        assert (frame.tracks.tolist() if frame.tracks is not None else None) == tracks
        if kind == "boxes":
            assert frame.boxes.tolist() == [[4, 6, 20, 30], [32, 0, 64, 48]]
            continue
        for mask, line in zip(frame.masks, POLYGONS, strict=True):
            values = [float(value) for value in line.split()[1:]]
            corners = np.reshape(values, (-1, 2)) * (WIDTH, HEIGHT)
            (drawn,) = coco_mask.frPyObjects([corners.reshape(-1).tolist()], HEIGHT, WIDTH)
            assert mask == drawn["counts"]


def test_names_of_labels_may_have_other_forms(objects, tmp_path: Path) -> None:
    source = labels(tmp_path / "x", frame_0=[BOXES[0]], frame_2=[BOXES[1]])
    source = source.rename(tmp_path / "a")
    words = ("--format", "ultralytics", "--classes", tmp_path / "names.txt", "--first-frame", 0)
    _, shard = objects(source, *words, "--names", "frame_{frame}.txt")
    assert [len(shard.frame(row)) for row in range(4)] == [1, 0, 1, 0]


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ("2 0.5 0.5 0.5 0.5", "object 1: expected one of 2 classes"),
        ("0 0.5 0.5 0.5", "as fractions of the frame"),
        ("0 0.5 0.5 0.5 1.5", "as fractions of the frame"),
        ("0 nan 0.5 0.5 0.5", "as fractions of the frame"),
        ("0.95 mouse", "expected one of 2 classes"),
        ("0", "as fractions of the frame"),
        ("\x00\x1b[31m \udcff", "expected one of 2 classes"),
        ("0 " + "0 0 1 1 " * 500, "polygon: expected a perimeter"),
    ],
)
def test_a_line_that_is_wrong_fails_its_video_alone(
    objects, tmp_path, monkeypatch, line, message
) -> None:
    monkeypatch.setattr("orn.stage1_detect.imports.polygons._MOST_OUTLINE", 2**13)
    source = labels(tmp_path, b_1=[BOXES[0]])
    (source / "a_1.txt").write_text(line, errors="surrogateescape")
    words = ("--format", "ultralytics", "--classes", tmp_path / "names.txt")
    summary, shard = objects(source, *words, exit_code=3)
    assert [video.id for video in shard.videos] == ["b"]
    (failed,) = summary["failed"]
    assert failed["id"] == "a" and message in failed["reason"]
    assert failed["reason"].isprintable()


def test_lines_with_different_values_after_the_coordinates_are_refused(objects, tmp_path) -> None:
    source = labels(tmp_path, a_1=[BOXES[0], f"{BOXES[1]} 0.5"], b_1=[BOXES[0]])
    words = ("--format", "ultralytics", "--classes", tmp_path / "names.txt")
    summary, _ = objects(source, *words, exit_code=3)
    assert "object 2: expected one of" in summary["failed"][0]["reason"]


def test_labels_require_names(refused, tmp_path: Path) -> None:
    source = labels(tmp_path, a_1=[BOXES[0]])
    words = ("--format", "ultralytics")
    assert "add --classes FILE" in refused(source, *words, exit_code=2)
    named = (*words, "--classes", tmp_path / "names.txt")
    (source / "a_1.txt").rename(source / "a.txt")
    assert f"{source}/a.txt: expected a name with a video" in refused(source, *named)
