"""Objects of COCO's JSON, of Something-Else and of a table, against what each format means."""

import json
import re
import shutil
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image
from pycocotools import mask as coco_mask

from orn.shared.masks import rle
from orn.shared.shards.shard import Shard
from orn.stage1_detect.imports.import_config import FormatName
from orn.stage1_detect.imports.source_videos import RECORDS
from tests.bounded import refusals
from tests.stage1_detect.imports.conftest import boxes_of_records
from tests.worlds.tables import counted_videos
from tests.worlds.videos import write_folder

HEIGHT, WIDTH = 48, 64
HEADER = "video,frame,x1,y1,x2,y2,class,score"


def table(folder: Path, *rows: str, header: str = HEADER) -> Path:
    path = folder / "boxes.csv"
    path.write_text("\n".join([header, *rows]) + "\n", encoding="utf-8")
    return path


def coco(folder: Path, name: str = "coco.json", **parts: Any) -> Path:
    path = folder / name
    path.write_text(json.dumps(parts))
    return path


def left_out(summary: Any) -> dict[str, int]:
    return {entry["reason"]: entry["number"] for entry in summary["left_out"]}


def boxes_by_frame(shard: Shard, video_id: str) -> dict[int, list[list[float]]]:
    start, stop = shard.video_rows(video_id)
    indices = shard.frame_index().tolist()
    return {indices[row]: shard.frame(row).boxes.tolist() for row in range(start, stop)}


def test_a_table_of_boxes(objects: Any, tmp_path: Path) -> None:
    source = table(
        tmp_path,
        "a,3,1,1.5,4,3,cup,0.5",
        "b,0,0,0,2,2,my thing,",
        'A,3,"-5",0,6,9999,cup,1',
        "a,5,,,,,,",
        "a,12,0,0,1,1,cup,",
        f"b,2,{WIDTH},0,{WIDTH + 5},1,cup,",
        "stranger,0,0,0,1,1,cup,",
    )
    summary, shard = objects(source, "--format", "csv")
    assert shard.detector.class_names == ("cup", "my thing")
    assert boxes_by_frame(shard, "a") == {3: [[1, 1.5, 4, 3]], 5: []}
    assert boxes_by_frame(shard, "b") == {0: [[0, 0, 2, 2]], 2: []}
    assert summary["unmatched"] == [f"{source}: A", f"{source}: stranger"]
    assert left_out(summary) == {"no frame of the video": 1, "outside of the frame": 1}
    frame = shard.frame(0)
    assert (frame.scores.tolist(), frame.labels.tolist(), frame.class_scores) == ([0.5], [0], None)
    expected = np.zeros((HEIGHT, WIDTH), bool)
    expected[1:3, 1:4] = True
    np.testing.assert_array_equal(frame.mask_arrays()[0], expected)
    assert shard.frame_seconds().tolist() == pytest.approx([0.3, 0.5, 0.0, 0.2])


@pytest.mark.parametrize(
    ("header", "rows"),
    [
        ("video,frame,x,y,w,h,class,score", ("a,3,1,1.5,3,1.5,cup,0.5", "a,5,,,,,,")),
        ("video;frame;x1;y1;x2;y2;class;score", ("a;3;1;1,5;4;3;cup;0.5", "a;5;;;;;;")),
        ("video;frame;x;y;w;h;class;score", ('a;3;"1";1,5;3;1,5;cup;0,5', "a;5")),
    ],
)
def test_a_table_of_sizes_or_with_semicolons(objects, tmp_path, header, rows) -> None:
    _, shard = objects(table(tmp_path, *rows, header=header), "--format", "csv")
    assert boxes_by_frame(shard, "a") == {3: [[1, 1.5, 4, 3]], 5: []}
    assert (shard.frame(0).scores.tolist(), shard.has_tracks) == ([0.5], False)


def test_tracks_of_a_table(objects: Any, orn: Any, tmp_path: Path) -> None:
    rows = ("a,3,0,0,4,3,cup,7", "a,3,2,0,4,3,cup,", "a,4,0,0,4,3,cup,7", "b,0,0,0,2,2,cup,-1")
    source = table(tmp_path, *rows, f"b,1,0,0,2,2,cup,{2**63 - 1}",
                   header="video,frame,x1,y1,x2,y2,class,track")  # fmt: skip
    _, shard = objects(source, "--format", "csv")
    assert shard.array("tracks").tolist() == [7, -1, 7, -1, 2**63 - 1]
    source.write_text(source.read_text().replace(",-1", ",-2"))
    words = ("import-objects", tmp_path / "mine.toml", source, "--format", "csv")
    refused = orn(*words, "--data", tmp_path / "data", "--dry-run", exit_code=1).stderr
    assert f"{source}: line 5: track: expected greater than or equal to -1, got '-2'" in refused


def test_times_mean_the_nearest_frame_and_no_other(objects: Any, tmp_path: Path) -> None:
    rows = ["a,0.32,0,0,1,1,cup", "a,0.29,0,0,2,2,cup", "a,1.14,0,0,3,3,cup", "a,1.2,0,0,4,4,cup"]
    source = table(tmp_path, *rows, header="video,seconds,x1,y1,x2,y2,class")
    summary, shard = objects(source, "--format", "csv")
    assert boxes_by_frame(shard, "a") == {3: [[0, 0, 2, 2]], 11: [[0, 0, 3, 3]]}
    assert left_out(summary) == {"no frame of the video": 2}


@pytest.mark.parametrize(
    ("words", "frame"),
    [((), 6), (("--first-frame", 1), 5), (("--rate", 20), 3), (("--rate", 30), 2)],
)
def test_numbers_of_frames(objects, tmp_path, words, frame) -> None:
    _, shard = objects(table(tmp_path, "a,6,0,0,1,1,cup,"), "--format", "csv", *words)
    assert list(boxes_by_frame(shard, "a")) == [frame]


def test_numbers_in_a_folder_are_those_of_its_files(orn: Any, tmp_path: Path) -> None:
    manifest = counted_videos(tmp_path, {}, absent=["a"])
    text = manifest.read_text().replace('form = "clips"', 'form = "frames"')
    manifest.write_text(text.replace('"videos/{id}.mp4"', '"{id}"\nrate = 10'))
    numbers = (21, 22, 23, 26, 27)
    write_folder(
        tmp_path / "data" / "mine" / "a", [(f"{number:06d}.jpg", number) for number in numbers]
    )
    source = table(tmp_path, *(f"a,{number},0,0,1,1,cup," for number in (3, 22, 24, 26)))
    places = ("--data", tmp_path / "data", "--out", tmp_path / "shards")
    words = ("--format", "csv", "--first-frame", 1, "--json")
    summary = orn("import-objects", manifest, source, *places, *words).json
    shard = Shard(tmp_path / "shards" / "shard-000000.zarr.zip")
    assert shard.frame_index().tolist() == [1, 3]
    assert shard.frame_seconds().tolist() == [2.1, 2.5]
    assert left_out(summary) == {"no frame of the video": 2}


POLYGON = [1.5, 1, 6, 1, 6, 5.2, 3, 6]
CATEGORIES = [{"id": 7, "name": "pot"}, {"id": 2, "name": "cup"}]


def image(number: int | str, name: str = "a/x_0001.png", **fields: Any) -> dict[str, Any]:
    size = {"height": HEIGHT, "width": WIDTH}
    return {"id": number, "file_name": name, **size, **fields}


def test_masks_of_coco(objects: Any, orn: Any, tmp_path: Path) -> None:
    """All that a shard holds of them comes back from an export."""
    size = [HEIGHT, WIDTH]
    mask = np.zeros(size, bool)
    mask[2:5, 3:4] = True
    packed = rle.encode(mask)
    runs = [3 * HEIGHT + 2, 3, HEIGHT * (WIDTH - 3) - 5]
    of_image = {"image_id": 1, "category_id": 7}
    annotations: list[dict[str, Any]] = [
        of_image | {"bbox": [1.5, 1, 4.5, 5], "segmentation": [POLYGON, [1, 1, 3, 1, 3, 3]]},
        of_image
        | {"segmentation": {"size": size, "counts": packed.decode()}, "score": 0.3}
        | {"track_id": 2**62 + 1},
        of_image
        | {"segmentation": {"size": size, "counts": runs}, "bbox": [3, 2, 1, 3]}
        | {"attributes": {"track_id": 0}},
        of_image | {"bbox": [3, 2, 1, 3], "segmentation": None, "instance_id": 5},
        {"image_id": "2", "category_id": 9, "bbox": [0, 0, 1, 1]},
        {"image_id": "2", "category_id": 2, "bbox": [0, 0, 1, 1], "iscrowd": 1},
    ]
    images = [image(1), image("2", "a/2.jpg"), image(3, "a/3.jpg")]
    source = coco(tmp_path, annotations=annotations, categories=CATEGORIES, images=images)
    summary, shard = objects(source, "--format", "coco")
    assert list(boxes_by_frame(shard, "a")) == [1, 2, 3]
    frame = shard.frame(0)
    drawn = coco_mask.frPyObjects([POLYGON, [1, 1, 3, 1, 3, 3]], *size)
    assert frame.masks[0] == coco_mask.merge(drawn)["counts"]
    assert frame.masks[1:] == (packed, packed, packed)
    assert frame.boxes.tolist() == [[1.5, 1, 6, 6], *[[3, 2, 4, 5]] * 3]
    assert frame.scores.tolist() == [1, np.float32(0.3), 1, 1]
    assert frame.labels.tolist() == [0] * 4
    assert frame.tracks is not None and frame.tracks.tolist() == [-1, 2**62 + 1, 0, 5]
    assert shard.detector.class_names == ("pot", "cup")
    dropped = left_out(summary)
    assert dropped.pop("unknown class") == 1
    ((reason, number),) = dropped.items()
    assert number == 1 and "iscrowd" in reason and "--groups" in reason
    summary, shard = objects(source, "--format", "coco", "--groups")
    assert left_out(summary) == {"unknown class": 1}
    assert len(shard.frame(1)) == 1
    arrays, out = {name: shard.array(name).copy() for name in shard.arrays}, tmp_path / "out.json"
    words = ("export-objects", tmp_path / "mine.toml", out, "--json")
    report = orn(*words, "--shards", shard.path.parent).json
    assert (report["videos"], report["frames"], report["objects"]) == (1, 3, 5)
    summary, shard = objects(out, "--format", "coco")
    assert (summary["left_out"], shard.detector.class_names) == ([], ("pot", "cup"))
    for name, values in arrays.items():
        np.testing.assert_array_equal(shard.array(name), values, err_msg=name)


@pytest.mark.parametrize(
    ("fields", "words", "places"),
    [
        ({"file_name": "a/frame_0000000004.jpg"}, (), ("a", 4)),
        ({"file_name": "frame_000004.PNG"}, (), ("b", None)),
        (
            {"file_name": "images/1f-a_0004.jpg"},
            ("--names", "images/*-{video}_{frame}.jpg"),
            ("a", 4),
        ),
        ({"video": "a", "frame": 4}, (), ("a", 4)),
        ({"video": "a", "frame": 9, "seconds": 0.41}, (), ("a", 4)),
        ({"video_id": 5, "frame_id": 4, "file_name": "x"}, (), ("a", 4)),
    ],
)
def test_which_frame_an_image_is(objects, tmp_path, fields, words, places) -> None:
    annotations = [{"image_id": 1, "category_id": 2, "bbox": [0, 0, 1, 1]}]
    parts = {"images": [image(1) | fields], "videos": [{"id": 5, "name": "a"}]}
    source = coco(tmp_path, "b.json", annotations=annotations, categories=CATEGORIES, **parts)
    _, shard = objects(source, "--format", "coco", *words)
    video_id, frame = places
    assert boxes_by_frame(shard, video_id) == ({} if frame is None else {frame: [[0, 0, 1, 1]]})


def label_image(path: Path, *blocks: tuple[int, int, int], mode: str = "L") -> Path:
    """A PNG with squares of five pixels: value, left and top."""
    path.parent.mkdir(parents=True, exist_ok=True)
    labels = np.zeros((HEIGHT, WIDTH), np.uint16 if mode == "I;16" else np.uint8)
    for value, x, y in blocks:
        labels[y : y + 5, x : x + 5] = value
    picture = Image.fromarray(labels)
    if mode == "P":
        picture.putpalette([*range(256)] * 3)
    picture.save(path)
    return path


@pytest.mark.parametrize("mode", ["L", "P", "I;16"])
def test_label_images_are_objects_with_tracks(objects: Any, tmp_path: Path, mode: str) -> None:
    source = tmp_path / "masks"
    most = 65_535 if mode == "I;16" else 255
    label_image(source / "a" / "00003.png", (most, 30, 10), (1, 2, 43), (1, 20, 0), mode=mode)
    label_image(source / "a" / "00004.png", mode=mode)
    label_image(source / "b" / "00000.png", (2, 1, 1), mode=mode)
    summary, shard = objects(source, "--format", "masks")
    assert (summary["left_out"], shard.detector.class_names) == ([], ("object",))
    assert boxes_by_frame(shard, "a") == {3: [[2, 0, 25, 48], [30, 10, 35, 15]], 4: []}
    assert shard.array("tracks").tolist() == [1, most, 2]
    expected = np.zeros((HEIGHT, WIDTH), bool)
    expected[43:48, 2:7] = expected[0:5, 20:25] = True
    np.testing.assert_array_equal(shard.frame(0).mask_arrays()[0], expected)
    _, alone = objects(source / "b", "--format", "masks", "--names", "{frame}.png")
    assert boxes_by_frame(alone, "b") == {0: [[1, 1, 6, 6]]}


def test_a_file_is_one_mask_if_its_name_has_a_class_or_a_track(objects, tmp_path: Path) -> None:
    """A folder for each object, as SAM 2 writes it, or the class in the name of the file."""
    source = tmp_path / "masks"
    for name in ("a/001/00003.png", "a/002/00003.png", "a/002/00004.png"):
        label_image(source / name, (255, 4, 4), (1, 9, 9))
    words = ("--format", "masks", "--names")
    _, shard = objects(source, *words, "{video}/{track}/{frame}.png")
    assert boxes_by_frame(shard, "a") == {3: [[4, 4, 14, 14]] * 2, 4: [[4, 4, 14, 14]]}
    assert shard.array("tracks").tolist() == [1, 2, 2]
    shutil.rmtree(source)
    for name in ("a_3_my cup_5.png", "a_3_pot_6.png"):
        label_image(source / name, (1, 4, 4))
    label_image(source / "a_4_pot_6.png")
    _, shard = objects(source, *words, "{video}_{frame}_{class}_{track}.png")
    assert shard.detector.class_names == ("my cup", "pot")
    assert (shard.array("labels").tolist(), shard.array("tracks").tolist()) == ([0, 1], [5, 6])
    assert list(boxes_by_frame(shard, "a")) == [3, 4]


def test_masks_that_are_no_label_images_are_named(objects, orn, tmp_path: Path) -> None:
    source = tmp_path / "masks"
    label_image(source / "b" / "1.png", (1, 4, 4))
    Image.new("RGB", (8, 6)).save(label_image(source / "a" / "1.png"))
    summary, shard = objects(source, "--format", "masks", exit_code=3)
    assert [video.id for video in shard.videos] == ["b"]
    assert summary["failed"][0]["reason"].startswith("masks/a/1.png: expected a PNG file with one")
    assert "type RGB" in summary["failed"][0]["reason"]
    words = ("import-objects", tmp_path / "mine.toml", source, "--data", tmp_path / "data")
    asked = partial(orn, *words, "--format", "masks", "--dry-run")
    for names in ("{video}/{frames}.png", "{video}.png", "{video}/{frame}_{frame}.png"):
        refused = asked("--names", names, exit_code=2).stderr
        assert f"--names {names}: expected {{frame}}, and each of " in refused
    assert (
        f"{source}/a/1.png: expected a name" in asked("--names", "x{frame}.png", exit_code=1).stderr
    )
    Image.new("L", (8, 6)).save(source / "b" / "2.png")
    refused = asked(exit_code=1).stderr
    assert f"{source}: video 'b': expected images of one size, got (48, 64) and (6, 8)" in refused


@pytest.mark.real_data
def test_the_real_boxes_of_something_else(orn: Any, sample_data: Path, tmp_path: Path) -> None:
    source = sample_data / "something" / "annotations" / "annotations.json"
    (tmp_path / "data" / "mine").mkdir(parents=True)
    (tmp_path / "data" / "mine" / "v").symlink_to(sample_data / "something" / "frames")
    truth = json.loads(source.read_text())
    manifest = counted_videos(tmp_path, {}, absent=["151201", "6981"])
    text = manifest.read_text().replace('form = "clips"', 'form = "frames"')
    manifest.write_text(text.replace('"videos/{id}.mp4"', '"v/{id}"\nrate = 12'))
    places = ("--data", tmp_path / "data", "--out", tmp_path / "shards")
    words = ("import-objects", manifest, source, "--format", "something-else", *places, "--json")
    assert orn(*words).json["left_out"] == []
    shard = Shard(tmp_path / "shards" / "shard-000000.zarr.zip")
    assert shard.detector.class_names == ("hand", "object")
    for video_id in ("151201", "6981"):
        start, stop = shard.video_rows(video_id)
        assert stop - start == len(truth[video_id]) == 23
        for row, expected in zip(range(start, stop), truth[video_id], strict=True):
            frame = shard.frame(row)
            number = int(expected["name"].partition("/")[2].partition(".")[0])
            assert shard.frame_index()[row] == number - 1
            sides = [[label["box2d"][side] for side in ("x1", "y1", "x2", "y2")]
                     for label in expected["labels"]]  # fmt: skip
            np.testing.assert_allclose(frame.boxes, np.reshape(sides, (-1, 4)), atol=1)
            is_object = [label["category"] != "hand" for label in expected["labels"]]
            assert frame.labels.tolist() == is_object


# What no source of good will holds -------------------------------------------------------------


def annotated(**fields: Any) -> str:
    entry = {"image_id": 1, "category_id": 2, "bbox": [0, 0, 1, 1], **fields}
    return json.dumps({"annotations": [entry], "images": [image(1)], "categories": CATEGORIES})


ZIGZAG = [side for place in range(100_000) for side in (place % 2 * 8192, place % 9)]
"""A polygon whose mask would need more memory than there is."""
HOSTILE: list[tuple[FormatName, str, str]] = [
    ("coco", annotated(bbox=[1e300, 0, 1, 1]), r"bbox"),
    ("coco", annotated(bbox=[5, 0, -3, 1]), "x1 <= x2"),
    ("coco", annotated(segmentation=[ZIGZAG]), "perimeter"),
    ("coco", annotated(segmentation={"size": [10**9] * 2, "counts": "4"}), "size"),
    ("csv", f"{HEADER}\na,1,nan,0,1,1,cup,", "line 2: x1"),
    ("csv", f"{HEADER}\n" + "a,1,0,0,1,1,cup,\n" * 10_001, "10,000 objects"),
]


def test_numbers_that_cannot_be_are_named_without_filling_the_memory(tmp_path: Path) -> None:
    for number, (form, text, message) in enumerate(HOSTILE):
        path = tmp_path / f"{number}{RECORDS[form].suffix}"
        path.write_text(text)
        (refusal,) = refusals(partial(boxes_of_records, form), [path])
        assert re.match(rf".*/{path.name}: .*{message}", refusal), refusal
        assert len(refusal) < 1500 and refusal.isprintable()


def test_a_record_that_is_wrong_fails_its_video_alone(objects: Any, tmp_path: Path) -> None:
    annotations = [
        {"image_id": 1, "category_id": 2, "bbox": [0, 0, 1, 1]},
        {"image_id": 2, "category_id": 2, "bbox": [0, 0, 1, None]},
    ]
    images = [image(1), image(2, "b/1.jpg")]
    source = coco(tmp_path, annotations=annotations, categories=CATEGORIES, images=images)
    summary, shard = objects(source, "--format", "coco", exit_code=3)
    (failed,) = summary["failed"]
    assert (failed["id"], [video.id for video in shard.videos]) == ("b", ["a"])
    assert failed["reason"].startswith("coco.json: record 2: ")
    assert "bbox[3]" in failed["reason"]
