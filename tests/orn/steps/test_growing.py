"""`orn run` on a table that grows: what it says before the first step, what is trained again, and
that no video moves and no earlier result changes."""

import csv
import re
import shutil
from collections.abc import Callable
from contextlib import chdir
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from orn.shared.errors import ConfigError, JoinError
from orn.shared.jobs.progress import TERMINAL
from orn.shared.jobs.run_steps import Step
from orn.shared.shards.detection_folder import DetectionFolder
from orn.stage2_train.runs.eval_file import read_eval
from orn.steps.estimate import describe_run, with_work
from orn.steps.open_pipeline import open_pipeline
from orn.steps.pipeline import pipeline_steps, run
from orn.steps.pipeline_config import PipelineConfig
from tests.orn.steps.pipelines import carry_out
from tests.running import LAPTOP, run_orn
from tests.worlds.films import RECIPE, make_film
from tests.worlds.videos import write_pictures

TABLE = Path("kitchen/labels.csv")
DRAWN: dict[str, dict[str, Any]] = {"split": {}, "folds": {"folds": 2}}
USUAL = Path("runs/kitchen-recipe-seed0")


@dataclass(kw_only=True)
class Kitchen:
    """A table of films in the current folder, with their objects."""

    options: dict[str, Any]
    """How the splits are drawn."""
    rows: list[str] = field(default_factory=list)

    def add(self, first: int, number: int, labels: tuple[str, ...] = ("right", "down")) -> None:
        """Add films with their objects, and write the table."""
        for count in range(first, first + number):
            label, name = labels[count % len(labels)], f"film{count}"
            rng = np.random.default_rng(count)
            film = make_film(name, label=int(label == "down"), num_frames=8, rng=rng)
            pictures = (film.image(frame) for frame in range(len(film.boxes_FN4)))
            write_pictures(Path("kitchen/videos") / f"{name}.mp4", pictures)
            self.rows.append(f"{name},{label}")
            with Path("objects.csv").open("a") as file:
                for frame, boxes_N4 in enumerate(film.boxes_FN4):
                    for box, kind in zip(boxes_N4.tolist(), ("cup", "fork", "knife"), strict=True):
                        print(name, frame, *box, kind, sep=",", file=file)
        self.write()

    def remove(self, number: int) -> None:
        """Remove the first rows of the table."""
        del self.rows[:number]
        self.write()

    def write(self) -> None:
        """Write the table."""
        TABLE.write_text("\n".join(["video,label", *self.rows, ""]))

    def request(self, **options: Any) -> PipelineConfig:
        return PipelineConfig(
            **{
                "dataset": str(TABLE), "recipe": "recipe.toml",
                "objects": Path("objects.csv"), "form": "csv",
                **self.options, **options,
            }
        )  # fmt: skip

    def run(self, **options: Any) -> dict[str, Any]:
        """Run what `orn run` runs."""
        return run(self.request(**options), TERMINAL).as_json()

    def plan(self, **options: Any) -> dict[str, Any]:
        """Return the estimate of a dry run, which writes nothing."""
        before = contents()
        planned = plan(self.request(**options))
        assert contents() == before
        return planned


def plan(request: PipelineConfig) -> dict[str, Any]:
    """Return what a dry run prints, and the run folder."""
    pipeline, dataset = open_pipeline(request, TERMINAL, dry_run=True)
    steps = with_work(pipeline_steps(pipeline), pipeline, dataset)
    return {**describe_run(steps, pipeline, dataset), "run": pipeline.run}


def contents(*folders: str) -> dict[Path, bytes]:
    """Return the content of all files, or of those in folders."""
    files = (path for folder in folders or (".",) for path in Path(folder).rglob("*"))
    return {path: path.read_bytes() for path in files if path.is_file()}


def is_other(path: Path, before: dict[Path, bytes]) -> bool:
    """Whether a file has changed, other than the caches of folders and the logs of starts."""
    return not path.name.startswith(".") and path.read_bytes() != before[path]


def splits() -> dict[str, list[str]]:
    with Path("kitchen/split.csv").open() as file:
        return {video: own for video, *own in csv.reader(file)}


def begin(drawn: str) -> Kitchen:
    """Make a table of twelve films in the current folder."""
    Path("recipe.toml").write_text(RECIPE)
    Path("kitchen/videos").mkdir(parents=True)
    Path("objects.csv").write_text("video,frame,x1,y1,x2,y2,class\n")
    kitchen = Kitchen(options=DRAWN[drawn])
    kitchen.add(0, 12)
    if not kitchen.options:
        run_orn("manifest", "new", TABLE, "--split", "60/40")
    return kitchen


@pytest.fixture(autouse=True)
def _here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Steps are carried out in this process, in the folder of the test."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("ORN_DATA", raising=False)
    monkeypatch.setattr(Step, "run", carry_out_here)


def carry_out_here(step: Step, **_: object) -> None:
    carry_out(step)


@pytest.fixture(scope="module")
def finished(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, list[str]]:
    """The folder and the rows of a table whose pipeline has run; read-only."""
    folder = tmp_path_factory.mktemp("finished")
    with chdir(folder), pytest.MonkeyPatch.context() as patch:
        patch.setattr(Step, "run", carry_out_here)
        kitchen = begin("split")
        kitchen.run()
    return folder, kitchen.rows


@pytest.fixture
def kitchen(finished: tuple[Path, list[str]], tmp_path: Path) -> Kitchen:
    """A copy of it."""
    folder, rows = finished
    shutil.copytree(folder, tmp_path, dirs_exist_ok=True)
    return Kitchen(options=DRAWN["split"], rows=[*rows])


@pytest.mark.parametrize("drawn", ["split", pytest.param("folds", marks=pytest.mark.slow)])
def test_a_grown_table_is_trained_again_and_nothing_else_changes(drawn: str, capfd) -> None:
    """By five films, then by a class; two films go; a label is corrected. The command stays the
    same, and earlier runs can still be evaluated."""
    kitchen, are_folds = begin(drawn), drawn == "folds"
    kitchen.run()
    assert kitchen.plan()["new_run"] is None
    clips = 12 if are_folds else 7
    changes = (
        (lambda: kitchen.add(12, 5), "5 new videos: film12", 17 if are_folds else 10, None),
        (lambda: kitchen.add(17, 4, ("turn",)), "4 new videos: .*1 new class: turn", 21, 3),
        (lambda: kitchen.remove(2), "2 videos without a row any more: film0, film1", 19, None),
    )
    for number, (change, said, expected, classes) in enumerate(changes, start=2):
        change()
        before, earlier_splits = contents("runs", "shards", "clips"), splits()
        capfd.readouterr()
        planned = kitchen.plan()
        assert re.search(f"kitchen.toml: (would update: )?{said}", capfd.readouterr().err)
        run = USUAL.with_name(f"{USUAL.name}-{number}")
        assert planned["run"] == run
        (count,) = re.findall(r": (\d+) training clips instead of", planned["new_run"])
        clips, earlier = int(count), clips
        if are_folds:
            assert clips == expected
        assert f" instead of {earlier}" in planned["new_run"]
        assert ("3 classes instead of 2" in planned["new_run"]) == (classes is not None)
        assert f"{3 if are_folds else 1} new network" in planned["new_run"]
        assert kitchen.run()["run"] == str(run)
        assert re.search(f"kitchen.toml: (updating: )?{said}", capfd.readouterr().err)
        assert earlier_splits.items() <= splits().items(), "a video has moved"
        assert not [path for path in before if path.suffix != ".json" and is_other(path, before)]
        assert kitchen.plan()["new_run"] is None
    corrected = Path("corrections.csv")
    label = "down" if kitchen.rows[0].endswith("right") else "right"
    corrected.write_text(f"id,verdict,label\n{kitchen.rows[0].split(',')[0]},wrong,{label}\n")
    run_orn("manifest", "update", TABLE, "--corrections", corrected)
    assert kitchen.run()["run"].startswith(str(USUAL))
    first = USUAL / "fold-1" if are_folds else USUAL
    split = "test" if are_folds else "validation"
    evaluated = run_orn("eval", first, "--split", split, *LAPTOP)
    assert "its own 2 classes, without 1 class added since (turn)" in evaluated.stderr
    segments = read_eval(first / f"eval-{split}.json").num_segments
    turns = [row.partition(",")[0] for row in kitchen.rows if row.endswith(",turn")]
    column = [name for name, (own, *_) in splits().items() if own == split]
    gone = {"film0", "film1"}
    assert segments == len({*column} - {*turns} - gone)


def test_what_a_later_step_would_refuse_is_said_before_the_first(kitchen: Kitchen) -> None:
    """With one way out; nothing is written."""
    kitchen.add(12, 5)
    before = contents()
    for options, problem in (
        ({"run": USUAL}, r"seed0: \d+ training clips instead of \d+; omit --run, or pass a new"),
        ({"form": "something-else"}, "expected"),
    ):
        with pytest.raises(Exception, match=problem):
            plan(kitchen.request(**options))
        assert contents() == before
    del kitchen.rows[12:]
    kitchen.write()
    with pytest.raises(ConfigError, match=r"optimizer\.learning_rate is 0\.001 as recorded"):
        open_pipeline(kitchen.request(overrides=("optimizer.learning_rate=0.1",)))


def edit_objects(change: Callable[[list[str]], list[str]]) -> None:
    head, *rows = Path("objects.csv").read_text().splitlines()
    Path("objects.csv").write_text("\n".join([head, *change(rows)]) + "\n")


def moved_film_3(rows: list[str]) -> list[str]:
    return [row.replace(",knife", ",fork") if row.startswith("film3,") else row for row in rows]


def encoded_again() -> None:
    rng = np.random.default_rng(0)
    pictures = (rng.integers(256, size=(48, 64, 3), dtype=np.uint8) for _ in range(8))
    write_pictures(Path("kitchen/videos/film3.mp4"), pictures)


@pytest.mark.parametrize("change", [lambda: edit_objects(moved_film_3), encoded_again])
def test_a_changed_video_is_said_before_the_first_step_and_made_again_alone(
    kitchen: Kitchen, change: Callable[[], None], caplog: pytest.LogCaptureFixture
) -> None:
    """Its objects or its file; the other videos in its shard keep their objects, the order of rows
    is no change, and the second time there is nothing to do."""
    before = objects_of_films()
    edit_objects(lambda rows: rows[::-1])
    kitchen.plan()
    assert "changed since" not in caplog.text
    change()
    caplog.clear()
    kitchen.plan()
    assert "1 video has changed since the shards were written (film3); only" in caplog.text
    kitchen.run()
    after = objects_of_films()
    assert [name for name in after if after[name] != before[name]] == ["film3"]
    caplog.clear()
    assert not [step for step in kitchen.plan()["steps"] if step["step"] == "eval"]
    assert "changed since" not in caplog.text


def objects_of_films() -> dict[str, list[Any]]:
    """Return the boxes, the classes and the digest of the video of each film."""
    shards = DetectionFolder(Path("shards/kitchen"))
    objects: dict[str, list[Any]] = {}
    for name in shards.video_ids:
        video = shards.video(name)
        frames = [video.frame(row) for row in range(video.num_frames)]
        own = [(frame.boxes.tolist(), frame.labels.tolist()) for frame in frames]
        objects[name] = [video.video.source_digest, own]
    return objects


def test_an_estimate_names_the_steps_that_remain(kitchen: Kitchen) -> None:
    def remaining() -> list[str]:
        return [step["step"] for step in kitchen.plan()["steps"]]

    assert "eval" not in remaining()
    (USUAL / "eval-validation.json").unlink()
    assert {"eval", "report"} <= {*remaining()}


def test_objects_that_are_gone_are_refused_before_the_first_step(kitchen: Kitchen) -> None:
    edit_objects(lambda rows: [row for row in rows if not row.startswith("film3,")])
    with pytest.raises(ConfigError, match=r"objects\.csv: .*none any more of film3; restore"):
        kitchen.plan()


def test_a_run_finds_a_data_root_that_was_renamed(kitchen: Kitchen) -> None:
    Path("data").mkdir()
    Path("kitchen").rename("data/kitchen")
    moved = {"dataset": "kitchen.toml", "data_root": Path("data")}
    labels = Path("data/kitchen/labels.csv").read_text().splitlines()
    assert len(labels) == 13
    assert kitchen.run(**moved)["run"] == str(USUAL)


def test_missing_objects_are_refused_before_frames_are_stored() -> None:
    kitchen = begin("split")
    lost = ("film4,0,", "film4,1,", "film4,2,")
    edit_objects(lambda rows: [row for row in rows if not row.startswith(lost)])
    with pytest.raises(JoinError, match="first film4: some of its frames have no detections"):
        kitchen.run()
    assert Path("shards/kitchen").exists() and not Path("clips").exists()
    assert kitchen.run(partial=True)["num_segments"]
