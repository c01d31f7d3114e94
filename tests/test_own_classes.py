"""The whole line with the classes of a detector of one's own, whose scores are sigmoids."""

import json
from dataclasses import dataclass, replace
from pathlib import Path

import pytest

from orn import load_model
from orn.shared.masks.detections import FrameDetections
from tests.running import run_orn
from tests.worlds.films import (
    DETECTOR,
    GRID,
    Film,
    build_world,
    make_workspace,
    words_of,
    write_films,
    write_films_shard,
)

NAMES = ("kettle", "whisk", "sieve")
OWN = replace(DETECTOR, config_name="kitchen", class_names=NAMES)
SCORES = [(0.9, 0.5, 0.0), (0.25, 0.8, 0.0), (0.0, 0.5, 0.7)]
"""Of the rectangles of each frame."""


def rectangles(film: Film, frame: int) -> FrameDetections:
    return FrameDetections.from_boxes(
        film.boxes_FN4[frame],
        height=GRID[0],
        width=GRID[1],
        labels=[0, 1, 2],
        scores=[max(scores) for scores in SCORES],
        class_scores=SCORES,
    )


def write_shards(folder: Path, films: list[Film], names: tuple[str, ...]) -> Path:
    """The folder of shards of the objects, whose classes are called so."""
    detector = replace(OWN, class_names=names)
    own = {"score_kind": "sigmoid", "detections": rectangles}
    write_films_shard(folder / "shard-000000.zarr.zip", films, detector=detector, **own)
    return folder


@dataclass(frozen=True, kw_only=True)
class Line:
    """What was trained, and with what."""

    options: dict[str, str]
    films: list[Film]
    run: Path
    video: Path


@pytest.fixture(scope="module")
def line(tmp_path_factory: pytest.TempPathFactory) -> Line:
    """Trained and evaluated; read-only."""
    folder = tmp_path_factory.mktemp("own")
    world = build_world(tmp_path_factory.mktemp("world"))
    options = make_workspace(world, folder)
    videos = write_films(world, options)
    films = [film.in_video(videos[id]) for id, film in world.films.items()]
    options["--shards"] = str(write_shards(folder / "shards", films, NAMES))
    options["--clips"] = str(folder / "clips")
    data = ("--data", options["--data"], "--out", options["--clips"])
    run_orn("clips", options["manifest"], *data)
    run_orn("train", *words_of(options))
    run_orn("eval", options["--run"], "--workers", "0", "--device", "cpu")
    run = Path(options["--run"])
    return Line(options=options, films=films, run=run, video=videos["film/2"])


def test_a_run_has_the_classes_of_its_shards(line: Line) -> None:
    config = json.loads((line.run / "config.json").read_text())
    assert config["detector"]["class_names"] == list(NAMES)
    assert config["recipe"]["model"]["num_detector_classes"] == len(NAMES)
    assert config["score_kind"] == "sigmoid"
    network = load_model(line.run, device="cpu").network
    assert network.object_head.objects.classify_object.out_features == len(NAMES) + 1


def test_predictions_reports_and_pages_name_them(line: Line, tmp_path: Path) -> None:
    page = tmp_path / "page.html"
    ran = run_orn(
        *("predict", line.run, line.video, "--shards", line.options["--shards"]),
        *("--html", page, "--pairs", 3, "--device", "cpu", "--json"),
    )
    objects = ran.lines[0]["objects"][0]
    assert [entry["name"] for entry in objects] == ["whisk", "sieve", "background"]
    assert [entry["score"] for entry in objects[:2]] == pytest.approx([0.8, 0.7], abs=1e-3)
    run_orn("report", line.run, "--device", "cpu")
    shard = Path(line.options["--shards"]) / "shard-000000.zarr.zip"
    run_orn("inspect", shard, "--html", tmp_path / "page", "--data", line.options["--data"])
    pages = [line.run / "report.html", *tmp_path.rglob("*.html")]
    assert len(pages) == 3
    for entry in pages:
        text = entry.read_text()
        assert "sieve" in text
        assert "toothbrush" not in text  # the last of COCO's


@pytest.mark.parametrize("command", ["eval", "predict", "train", "train --from"])
def test_objects_of_other_classes_are_refused(line: Line, tmp_path: Path, command: str) -> None:
    options = line.options | {"--shards": str(write_shards(tmp_path, line.films, NAMES[::-1]))}
    shards = ("--shards", options["--shards"], "--device", "cpu")
    other_run = words_of(options | {"--run": str(tmp_path / "run")})
    words = {
        "eval": ("eval", line.run, *shards),
        "predict": ("predict", line.run, line.video, *shards, "--any-detector"),
        "train": ("train", *words_of(options)),
        "train --from": ("train", *other_run, "--from", line.run),
    }
    stderr = run_orn(*words[command], exit_code=2).stderr
    where = "the detections of video film/2" if command == "predict" else str(tmp_path)
    for part in (where, "classes[0] is 'kettle' in the run", "kitchen sha256"):
        assert part in stderr
