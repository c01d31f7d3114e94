"""Objects in files of supervision and ultralytics. supervision 0.31.2 (`CSVSink`, `JSONSink`) wrote
the files in `supervision/`, ultralytics 8.4.190 (`Results.save_txt`) the lines."""

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from pycocotools import mask as coco_mask

HEIGHT, WIDTH = 48, 64
SINKS = Path(__file__).with_name("supervision")
"""Files that supervision wrote, as CSV and JSON."""
BOXES = ("1 0.1875 0.375 0.25 0.5", "0 0.75 0.5 0.5 1")
SQUARE = "0.0625 0.125 0.0625 0.604167 0.296875 0.604167 0.296875 0.125"
TWO_PARTS = (
    "0.625 0.625 0.625 0.979167 0.765625 0.979167 0.765625 0.625 0.625 0.625 0.5 0.479167 "
    "0.984375 0.479167 0.984375 0 0.5 0 0.5 0.479167"
)
POLYGONS = (f"1 {SQUARE}", f"0 {TWO_PARTS}")


@pytest.fixture
def names(tmp_path: Path) -> Path:
    """A file with the names of two classes."""
    (tmp_path / "names.txt").write_text("mouse\npipette\n")
    return tmp_path / "names.txt"


@pytest.fixture
def refused(orn: Any, two_videos: Path, tmp_path: Path) -> Callable[..., str]:
    """Gives the message for a source that cannot be imported."""

    def run(source: Path, *words: Any, exit_code: int = 1) -> str:
        command = ("import-objects", two_videos, source, "--data", tmp_path / "data", "--dry-run")
        *_, message = orn(*command, *words, exit_code=exit_code).stderr.splitlines()
        return str(message)

    return run


def sink(folder: Path, name: str) -> Path:
    """A copy of a file of supervision, named like the video a."""
    folder.mkdir(exist_ok=True)
    return Path(shutil.copy(SINKS / name, (folder / "a").with_suffix(Path(name).suffix)))


def labels(folder: Path, **files: list[str]) -> Path:
    """A folder of label files, by their names."""
    (folder / "labels").mkdir(parents=True)
    for name, lines in files.items():
        (folder / "labels" / f"{name}.txt").write_text("".join(f"{line}\n" for line in lines))
    return folder / "labels"


@pytest.mark.parametrize("name", ["sink.csv", "sink.json"])
def test_sinks_of_supervision(objects, tmp_path, name) -> None:
    summary, shard = objects(sink(tmp_path, name), "--format", "supervision")
    assert (summary["left_out"], shard.detector.class_names) == ([], ("cup", "my thing"))
    assert [video.id for video in shard.videos] == ["a"]
    assert shard.frame_index().tolist() == [*range(12)]  # those without objects as well
    assert [len(shard.frame(row)) for row in range(12)] == [0, 0, 0, 2, 0, 1, *[0] * 6]
    frame = shard.frame(3)
    assert frame.boxes.tolist() == [[1, 1.5, 4, 3], [10, 20, 30.25, 40]]
    assert frame.scores.tolist() == [0.5, 0.75] and frame.labels.tolist() == [0, 1]
    assert shard.array("tracks").tolist() == [7, 3, 7]
    assert frame.mask_arrays()[1].sum() == 21 * 20


@pytest.mark.parametrize("name", ["without_optional.csv", "without_optional.json"])
def test_a_sink_without_names_scores_and_tracks(objects, refused, names, tmp_path, name) -> None:
    source = sink(tmp_path / "sinks", name)
    words = ("--format", "supervision")
    message = refused(source, *words)
    assert "expected class_name, or one of 0 classes as class_id, got 1; pass --classes" in message
    _, shard = objects(source.parent, *words, "--classes", names)
    assert shard.detector.class_names == ("mouse", "pipette")
    frame = shard.frame(3)
    assert (frame.scores.tolist(), frame.labels.tolist(), frame.tracks) == ([1], [1], None)


def test_sinks_at_another_rate_and_of_several_videos(objects, tmp_path: Path) -> None:
    entry = {"x_min": 0, "y_min": 0, "x_max": 2, "y_max": 2, "class_name": "cup"}
    rows = [entry | {"frame": 1, "video": name} for name in ("a", "b.mp4")]
    source = tmp_path / "sinks.json"
    source.write_text(json.dumps(rows))
    _, shard = objects(source, "--format", "supervision", "--rate", 5)
    assert [video.id for video in shard.videos] == ["a", "b"]
    assert shard.frame_index().tolist() == [0, 2, 4, 6, 8, 10, 0, 2]
    assert [len(shard.frame(row)) for row in range(8)] == [0, 1, *[0] * 5, 1]


@pytest.mark.parametrize(
    ("name", "old", "new", "message"),
    [
        ("sink.csv", "frame_number", "when", "missing key 'frame_index'"),
        ("sink.csv", "x_min", "left", "expected the columns of CSVSink"),
        ("sink.csv", "0.75", "nan", "line 3: confidence"),
        ("sink.csv", "class_id", "x_min", "expected different columns"),
        ("sink.json", "30.25", "NaN", "expected JSON in UTF-8"),
        ("sink.json", ": 5", ": 5.5", "record 3: frame_number"),
    ],
)
def test_a_file_of_no_sink_is_refused(refused, tmp_path, name, old, new, message) -> None:
    source = sink(tmp_path, name)
    source.write_text(source.read_text().replace(old, new))
    assert message in refused(source, "--format", "supervision")


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
def test_labels_of_ultralytics(objects, names, tmp_path, after, scores, tracks) -> None:
    folders = {}
    for kind, own in (("boxes", BOXES), ("polygons", POLYGONS)):
        lines = [line + end for line, end in zip(own, after, strict=True)]
        folders[kind] = labels(tmp_path / kind, a_3=lines, b_1=lines[1:], c_2=[])
    words = ("--format", "ultralytics", "--classes", names)
    for kind, source in folders.items():
        summary, shard = objects(source, *words)
        assert summary["unmatched"] == [f"{source}: c"] and summary["left_out"] == []
        assert shard.frame_index().tolist() == [*range(12), *range(3)]
        assert [len(shard.frame(row)) for row in (1, 2, 3, 12, 13)] == [0, 2, 0, 1, 0]
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


def test_names_of_labels_may_have_other_forms(objects, names, tmp_path: Path) -> None:
    source = labels(tmp_path / "x", frame_0=[BOXES[0]], frame_2=[BOXES[1]])
    source = source.rename(tmp_path / "a")
    words = ("--format", "ultralytics", "--classes", names, "--first-frame", 0)
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
        ("0 " + "0 0 1 0.9 " * 500, "polygon: expected a perimeter"),
        (f"{BOXES[0]}\n{BOXES[1]} 0.5", "object 2: expected one of"),
    ],
)
def test_a_line_that_is_wrong_fails_its_video_alone(
    objects, names, tmp_path, monkeypatch, line, message
) -> None:
    monkeypatch.setattr("orn.stage1_detect.imports.polygons._MOST_OUTLINE", 2**13)
    source = labels(tmp_path, b_1=[BOXES[0]])
    (source / "a_1.txt").write_text(line, errors="surrogateescape")
    words = ("--format", "ultralytics", "--classes", names)
    summary, shard = objects(source, *words, exit_code=3)
    assert [video.id for video in shard.videos] == ["b"]
    (failed,) = summary["failed"]
    assert failed["id"] == "a" and message in failed["reason"]
    assert failed["reason"].isprintable()


def test_labels_require_names(refused, names, tmp_path: Path) -> None:
    source = labels(tmp_path, a_1=[BOXES[0]])
    words = ("--format", "ultralytics")
    assert "add --classes FILE" in refused(source, *words, exit_code=2)
    named = (*words, "--classes", names)
    (source / "a_1.txt").rename(source / "a.txt")
    assert f"{source}/a.txt: expected a name with a video" in refused(source, *named)


POSE = "0 0.5 0.5 0.4 0.8 0.45 0.2 0.55 0.2 0.5 0.85"
CORNER = "0 0.2 0.6 0.4 0.7 0.3 0.8 0.2 1"


@pytest.mark.parametrize("line", [CORNER, POSE, f"{POSE} 0.9 1"])
def test_a_file_that_can_be_read_in_two_ways_is_refused(objects, names, tmp_path, line) -> None:
    source = labels(tmp_path, a_1=[line], b_1=[BOXES[0]])
    words = ("--format", "ultralytics", "--classes", names)
    summary, _ = objects(source, *words, exit_code=3)
    (failed,) = summary["failed"]
    assert failed["id"] == "a" and "pass --lines" in failed["reason"]


@pytest.mark.parametrize(
    ("line", "shape", "score", "track"),
    [
        (CORNER, "polygon", 1.0, None),
        ("0 0.5 0.5 0.2 0.2 1", "box+confidence", 1.0, None),
        ("0 0.5 0.5 0.2 0.2 1", "box+track", 1.0, 1),
        (f"{CORNER} 0.5 1", "polygon+confidence+track", 0.5, 1),
    ],
)
def test_an_option_says_what_lines_contain(
    objects, names, tmp_path, line, shape, score, track
) -> None:
    source = labels(tmp_path, a_1=[line])
    words = ("--format", "ultralytics", "--classes", names, "--lines", shape)
    _, shard = objects(source, *words)
    frame = shard.frame(0)
    assert frame.scores.tolist() == [score]
    assert (None if frame.tracks is None else frame.tracks.tolist()) == (track and [track])


def test_lines_have_a_known_shape(refused, names, tmp_path) -> None:
    source = labels(tmp_path, a_1=[BOXES[0]])
    words = ("--format", "ultralytics", "--classes", names)
    assert "--lines: expected box" in refused(source, *words, "--lines", "pose", exit_code=2)
    assert "does not apply" in refused(source, "--format", "coco", "--lines", "box", exit_code=2)
