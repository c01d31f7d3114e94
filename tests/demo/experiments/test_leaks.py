"""The leak report: figures by hand, an oracle that is right under every parameter, errors."""

import json
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

from orn.demo.experiments.leaks import leak_report, true_rows
from orn.demo.world.make import write_dataset
from orn.demo.world.parameters import WorldParameters
from orn.demo.world.truth_shards import write_truth_shards
from orn.shared.errors import DataRootError, JoinError
from orn.stage2_train.ablation.plan import table_rows
from orn.stage2_train.ablation.request import AblationRequest
from orn.stage2_train.leaks.request import LeaksRequest
from orn.stage2_train.recipe import load_recipe
from orn.stage2_train.resources import Resources

FILMS = (2, 2, 0)
TURNED = {
    "decoy_probability": 1.0,
    "decoy_pairs": 3,
    "distractors": 4,
    "look_alikes": 3,
    "noise": 40.0,
    "texture": 2.0,
}


@pytest.fixture(scope="module")
def draw(tmp_path_factory) -> Callable[..., None]:
    """Draws a data set in a root, or copies what was drawn before."""
    drawn: dict[str, Path] = {}

    def draw(root: Path, dataset: str, films=FILMS, **parameters) -> None:
        key = f"{dataset} {films} {sorted(parameters.items())}"
        if key not in drawn:
            folder = tmp_path_factory.mktemp("world")
            write_dataset(
                dataset,
                folder,
                films=films,
                parameters=WorldParameters(**parameters),
                seed=0,
                workers=1,
            )
            drawn[key] = folder / dataset
        shutil.copytree(drawn[key], root / dataset)

    return draw


@pytest.fixture(autouse=True)
def _without_shards(tmp_path, monkeypatch) -> None:
    monkeypatch.chdir(tmp_path)


def untrained_report(dataset, root, *, split="validation") -> dict:
    resources = Resources(data_root=root)
    request = LeaksRequest(
        manifest=dataset, out=root / "out", resources=resources, test=split == "test"
    )
    return leak_report(request)


def changed_truth(root: Path, dataset: str, change: Callable[[dict], None]) -> None:
    """Writes what `change` makes of the document of the validation part."""
    path = root / dataset / "ground_truth" / "validation.json"
    document = json.loads(path.read_text())
    change(document)
    path.write_text(json.dumps(document))


def figures(report) -> dict[str, float]:
    return {row["name"]: row["mean"] for row in report["rows"]}


@pytest.mark.parametrize(
    ("dataset", "parameters"),
    [
        ("demo-touch", TURNED | {"camera_pixels": 12.0}),
        ("demo-places", TURNED | {"camera_pixels": 6.0}),
        ("demo-both", {"camera_pixels": 6.0, "columns": 0}),
    ],
)
def test_the_oracle_is_right_whatever_the_parameters(draw, tmp_path, dataset, parameters) -> None:
    draw(tmp_path, dataset, **parameters)
    report = untrained_report(dataset, tmp_path)
    assert report["num_segments"] == FILMS[1]
    assert report["films_that_the_oracle_misses"] == 0
    assert figures(report)["oracle"] == pytest.approx(100)
    assert (
        ("Maximum accuracy" in report["note"]) == ("ceilings" in report) == (dataset == "demo-both")
    )


def test_a_wrong_label_is_a_world_that_is_not_well_defined(orn, draw, tmp_path) -> None:
    draw(tmp_path, "demo-places")
    table = tmp_path / "demo-places" / "labels.csv"
    rows = [row.split(",") for row in table.read_text().splitlines()]
    first = next(row for row in rows if row[2] == "validation")
    first[1] = "bowl" if first[1] != "bowl" else "cup"
    table.write_text("\n".join(map(",".join, rows)) + "\n")
    places = ("--data", tmp_path, "--out", tmp_path / "out")
    said = orn("leaks", "demo-places", *places).stdout
    assert "THE WORLD IS NOT WELL DEFINED: for 1 of 2 films" in said
    report = json.loads((tmp_path / "out" / "leaks-validation.json").read_text())
    assert report["films_that_the_oracle_misses"] == 1
    assert figures(report)["oracle"] == pytest.approx(50)
    assert (tmp_path / "out" / "leaks-validation.md").read_text().startswith("| baseline |")


def test_the_oracle_goes_by_the_classes_of_the_pair(draw, tmp_path) -> None:
    def turned(document) -> None:
        for video in document["videos"]:
            video["relations"].reverse()
            for relation in video["relations"]:
                relation["in_role"] = not relation["in_role"]

    draw(tmp_path, "demo", decoy_probability=1.0)
    changed_truth(tmp_path, "demo", turned)
    assert untrained_report("demo", tmp_path)["films_that_the_oracle_misses"] == 0


def test_majority_by_hand(draw, tmp_path) -> None:
    draw(tmp_path, "demo-places")
    rows = (tmp_path / "demo-places" / "labels.csv").read_text().splitlines()[1:]
    labels = [row.split(",")[1:] for row in rows]
    train, validation = (
        [label for label, of in labels if of == part] for part in ("train", "validation")
    )
    most = max(("bowl", "cup", "vase", "none"), key=train.count)  # the first of equals
    report = untrained_report("demo-places", tmp_path)
    assert figures(report)["majority"] == pytest.approx(100 * validation.count(most) / FILMS[1])
    assert report["chance"] == 25


def test_the_floor_is_what_counts_in_shards_tell(orn, draw, tmp_path) -> None:
    """Presence is another figure: it counts hidden objects, which no system is given."""
    draw(tmp_path, "demo-touch", films=(4, 4, 0))
    for path in (tmp_path / "demo-touch" / "ground_truth").glob("*.json"):
        document = json.loads(path.read_text())
        for each in document["annotations"]:
            each["iscrowd"] = each["category_id"] % 2  # hidden, which shards leave out
        path.write_text(json.dumps(document))
    write_truth_shards("demo-touch", tmp_path, tmp_path / "shards" / "demo-touch")
    said = orn("leaks", "demo-touch", "--data", tmp_path, "--json").json
    found = figures(said)
    assert list(found) == [
        *("majority", "classes-seen", "class-counts", "boxes", "middle-frame", "unordered-frames"),
        *("presence", "oracle"),
    ]
    assert found["class-counts"] != found["presence"]
    kept = Path("runs/leaks-demo-touch/leaks-validation.json")
    floor = AblationRequest(manifest="demo-touch", table="2", floor=str(kept)).floor
    assert floor == found["class-counts"]
    assert said["shards"] == "shards/demo-touch"
    assert f"chance is {said['chance']:.1f}" in said["meaning"]
    assert said["meaning"] in orn("leaks", "demo-touch", "--data", tmp_path).stdout


def test_shards_of_another_world_are_refused(orn, draw, tmp_path) -> None:
    """The worlds have the same names of films, and the shards are those used by default."""
    for name in ("one", "other"):
        (tmp_path / name).mkdir()
        draw(tmp_path / name, "demo-touch", noise=9.0 * (name == "other"))
    write_truth_shards("demo-touch", tmp_path / "one", tmp_path / "shards" / "demo-touch")
    said = orn("leaks", "demo-touch", "--data", "other", exit_code=1).stderr
    assert "shards/demo-touch" in said
    assert "other/demo-touch/videos/train-000000.mp4" in said
    assert "--shards" in said
    assert orn("leaks", "demo-touch", "--data", "one", "--json").json["shards"]


def test_a_part_that_is_not_drawn_is_named(draw, tmp_path) -> None:
    draw(tmp_path, "demo-touch")
    with pytest.raises(DataRootError, match=r"ground_truth/test.json: no ground truth .* --films"):
        true_rows("demo-touch", tmp_path, split="test")
    with pytest.raises(JoinError, match="demo-touch, test: expected labelled segments, got none"):
        untrained_report("demo-touch", tmp_path, split="test")


def test_rows_that_are_trained() -> None:
    rows = table_rows("leaks", (), load_recipe("demo", num_activities=4))
    names = ["coco-class-object-head", "coco-shape-object-head", "one-frame", "shuffled-frames"]
    assert [row.name for row in rows] == names
