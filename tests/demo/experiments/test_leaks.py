"""The leak report: figures by hand, an oracle that is right under every dial, errors."""

import json

import numpy as np
import pytest
from click.testing import CliRunner

from demo.commands import demo_leaks
from demo.experiments.leaks import (
    majority_scores,
    presence_floor,
    presence_scores,
    untrained_report,
)
from demo.world.dials import Dials, category_id
from demo.world.make import write_dataset
from demo.world.places import BALL, NOBODY
from shared.errors import ConfigError, DataRootError
from stage2_train.ablation.rows import table_rows
from stage2_train.recipe import load_recipe

FILMS = (8, 6, 0)
TURNED = {
    "decoy_probability": 1.0,
    "decoy_pairs": 3,
    "distractors": 4,
    "look_alikes": 3,
    "noise": 40.0,
    "texture": 2.0,
}


def draw(root, dataset, films=FILMS, **dials) -> None:
    write_dataset(dataset, root, films=films, dials=Dials(**dials), seed=0, workers=1)


def figures(report) -> dict[str, float]:
    return {row["name"]: row["mean"] for row in report["rows"]}


@pytest.mark.parametrize(
    ("dataset", "dials"),
    [
        ("demo", {}),
        ("demo", TURNED | {"camera_pixels": 12.0}),
        ("demo-touch", TURNED | {"camera_pixels": 12.0}),
        ("demo-places", {}),
        ("demo-places", TURNED | {"camera_pixels": 6.0}),
    ],
)
def test_the_oracle_is_right_whatever_the_dials(tmp_path, dataset, dials) -> None:
    draw(tmp_path, dataset, **dials)
    report = untrained_report(dataset, tmp_path, split="validation")
    assert report["num_segments"] == FILMS[1]
    assert report["films_that_the_oracle_misses"] == 0
    assert figures(report)["oracle"] == pytest.approx(100)


def test_the_floor_of_comparisons_is_what_presence_tells(tmp_path) -> None:
    draw(tmp_path, "demo-places")
    report = untrained_report("demo-places", tmp_path, split="validation")
    floor = presence_floor("demo-places", tmp_path, split="validation")
    assert floor == figures(report)["presence"]


def test_a_wrong_label_is_a_world_that_is_not_well_defined(tmp_path) -> None:
    draw(tmp_path, "demo-places")
    table = tmp_path / "demo-places" / "labels.csv"
    rows = [row.split(",") for row in table.read_text().splitlines()]
    first = next(row for row in rows if row[2] == "validation")
    first[1] = "bowl" if first[1] != "bowl" else "cup"
    table.write_text("\n".join(map(",".join, rows)) + "\n")
    arguments = ["demo-places", "--untrained", "--data", str(tmp_path)]
    result = CliRunner().invoke(demo_leaks, [*arguments, "--out", str(tmp_path / "out")])
    assert result.exit_code == 0, result.stderr
    assert "THE WORLD IS NOT WELL DEFINED: on 1 of 6 films" in result.stdout
    report = json.loads((tmp_path / "out" / "leaks-validation.json").read_text())
    assert report["films_that_the_oracle_misses"] == 1
    assert figures(report)["oracle"] == pytest.approx(100 * 5 / 6)
    assert (tmp_path / "out" / "leaks-validation.md").read_text().startswith("| reads |")


def test_the_oracle_goes_by_the_classes_of_the_pair(tmp_path) -> None:
    draw(tmp_path, "demo", decoy_probability=1.0)
    path = tmp_path / "demo" / "ground_truth" / "validation.json"
    document = json.loads(path.read_text())
    for video in document["videos"]:
        video["relations"].reverse()
        for relation in video["relations"]:
            relation["in_role"] = not relation["in_role"]
    path.write_text(json.dumps(document))
    report = untrained_report("demo", tmp_path, split="validation")
    assert report["films_that_the_oracle_misses"] == 0


def test_where_no_ball_can_be_seen_nobody_is_replaced(tmp_path) -> None:
    draw(tmp_path, "demo-places")
    path = tmp_path / "demo-places" / "ground_truth" / "validation.json"
    document = json.loads(path.read_text())
    ball = category_id(BALL)
    seen = [each for each in document["annotations"] if each["category_id"] != ball]
    path.write_text(json.dumps(document | {"annotations": seen}))
    report = untrained_report("demo-places", tmp_path, split="validation")
    rows = (tmp_path / "demo-places" / "labels.csv").read_text()
    replaced = FILMS[1] - rows.count(f",{NOBODY},validation")
    assert report["films_that_the_oracle_misses"] == replaced


def test_majority_by_hand(tmp_path) -> None:
    labels_NA = np.array([[1, 0], [0, 1], [0, 1], [0, 1]], np.float32)
    np.testing.assert_allclose(majority_scores(labels_NA, 2), [[0.25, 0.75], [0.25, 0.75]])
    draw(tmp_path, "demo-places")
    rows = (tmp_path / "demo-places" / "labels.csv").read_text().splitlines()[1:]
    by_part = {"train": [], "validation": []}
    for row in rows:
        _, label, part = row.split(",")
        by_part[part].append(label)
    classes = ("bowl", "cup", "vase", "none")
    most = max(classes, key=by_part["train"].count)  # the first of equals
    expected = 100 * by_part["validation"].count(most) / FILMS[1]
    report = untrained_report("demo-places", tmp_path, split="validation")
    assert figures(report)["majority"] == pytest.approx(expected)
    assert report["chance"] == 25


def test_presence_tells_what_follows_from_the_classes_and_nothing_else() -> None:
    counts_NS = np.eye(3, dtype=np.float32)[[0, 1, 2] * 20]
    told = presence_scores(counts_NS, counts_NS, counts_NS[:3])
    assert told.argmax(axis=1).tolist() == [0, 1, 2]
    alike_NS = np.ones_like(counts_NS)
    assert np.ptp(presence_scores(alike_NS, counts_NS, alike_NS), axis=0).max() == 0


def test_a_part_that_is_not_drawn_is_named(tmp_path) -> None:
    draw(tmp_path, "demo-touch")
    with pytest.raises(DataRootError, match=r"ground_truth/test.json: wanted .* --films"):
        untrained_report("demo-touch", tmp_path, split="test")


def test_a_camera_that_hides_the_label_is_refused_wherever_it_comes_from(tmp_path) -> None:
    with pytest.raises(ConfigError, match=r"demo-places: dials\.camera_pixels"):
        draw(tmp_path, "demo-places", camera_pixels=7.0)


def test_rows_that_are_trained() -> None:
    rows = table_rows("leaks", (), load_recipe("demo", num_activities=4))
    assert [row.name for row in rows] == [
        "coco-class-object-head",
        "coco-shape-object-head",
        "one-frame",
        "shuffled-frames",
    ]
