"""`orn run`: the steps of a table or a manifest, what is asked before they start, and all of them,
killed twice."""

import json
import os
import re
import shlex
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict
from pathlib import Path
from typing import Any

import pytest

from orn.cli import orn as program
from orn.data_manifests.load import load_dataset
from orn.shared.errors import ConfigError
from orn.shared.masks.coco_classes import COCO_CLASSES
from orn.shared.shards.shard_format import DetectorEntry
from orn.stage1_detect.detect_config import DetectConfig
from orn.stage1_detect.imports.import_config import ObjectOptions
from orn.stage1_detect.plan_detection import plan_job
from orn.stage2_train.settings.resources import WITH_WORKERS
from orn.steps import estimate as estimate
from orn.steps.open_pipeline import open_pipeline
from orn.steps.pipeline import pipeline_steps, prediction_command
from orn.steps.pipeline_config import PipelineConfig
from tests.running import SECONDS, run_orn
from tests.worlds.videos import write_gray

ROWS = [f"film{number},{('open', 'close')[number % 2]}" for number in range(10)]


@pytest.fixture
def table(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The table of ten films, in the current folder as `kitchen/labels.csv`."""
    monkeypatch.chdir(tmp_path)
    folder = Path("kitchen")
    (folder / "videos").mkdir(parents=True)
    for row in ROWS:
        (folder / "videos" / f"{row.partition(',')[0]}.mp4").touch()
    (folder / "labels.csv").write_text("\n".join(["video,label", *ROWS]) + "\n")
    return folder / "labels.csv"


def make_films(table: Path) -> None:
    """Make the films of a table, of six frames each."""
    for row in ROWS:
        write_gray(table.parent / "videos" / f"{row.partition(',')[0]}.mp4", 6)


def opened(dataset: object, **options: Any) -> dict[str, Any]:
    """The config of each step, by its name."""
    pipeline, _ = open_pipeline(PipelineConfig(dataset=str(dataset), **options))
    return {step.name: step.config for step in pipeline_steps(pipeline)}


def test_a_table_gets_its_manifest_once(table: Path, capfd) -> None:
    steps = opened(table, recipe="demo", seed=3)
    run = Path("runs/kitchen-demo-seed3")
    names = "check detect check-objects clips train calibrate eval baseline report"
    assert [*steps] == names.split()
    assert "warning" not in capfd.readouterr().err  # they stand below the table
    assert {steps[name].data_root for name in ("check", "detect", "clips")} == {Path()}
    train = steps["train"]
    assert (train.manifest, train.recipe, train.seed, train.run) == ("kitchen.toml", "demo", 3, run)
    assert (steps["baseline"].overrides, steps["baseline"].out) == (("seed=3",), run / "baseline")
    assert steps["eval"].run == steps["report"].run == run
    manifest = Path("kitchen.toml")
    manifest.write_text(manifest.read_text() + "# of my own\n")
    assert opened(table, recipe="demo", seed=3) == steps
    assert manifest.read_text().endswith("# of my own\n")
    assert opened("kitchen.toml", data_root=Path(), recipe="demo", seed=3) == steps


def test_folds_are_trained_one_by_one_and_then_everything(table: Path) -> None:
    rows = [f"{row},p{number // 2}" for number, row in enumerate(ROWS)]
    table.write_text("\n".join(["video,label,group", *rows]) + "\n")
    steps = opened(table, folds=2, recipe="demo")
    run = Path("runs/kitchen-demo-seed0")
    for fold in ("fold-1", "fold-2"):
        own = [steps[f"{name}-{fold}"] for name in ("train", "eval", "baseline")]
        assert [own[0].manifest, own[2].manifest] == [f"{run}/{fold}.toml"] * 2
        assert (own[0].run, own[1].run, own[2].out) == (
            *(run / fold, run / fold),
            run / "baseline" / fold,
        )
        assert (own[1].split, own[2].split) == ("test", "test")
    assert [*steps][-3:] == ["train-all", "calibrate-folds", "report"]
    assert steps["train-all"].manifest == f"{run}/all.toml"
    without = opened("kitchen.toml", data_root=Path(), recipe="demo", no_final=True)
    assert [*without] == [name for name in steps if name != "train-all"]
    with pytest.raises(ConfigError, match=r"kitchen\.toml: expected --folds 3, got 2; ") as raised:
        opened(table, folds=3)
    (typed,) = re.findall("`orn (.*)`", str(raised.value))
    run_orn(*shlex.split(typed))
    assert "train-fold-3" in opened(table, folds=3)


def test_a_split_of_the_table_is_kept_and_the_test_part_stands_in_for_validation(table) -> None:
    rows = [f"{row},{'train' if number < 6 else 'test'}" for number, row in enumerate(ROWS)]
    table.write_text("\n".join(["video,label,split", *rows]) + "\n")
    with pytest.raises(ConfigError, match="got a column 'split'; omit --folds"):
        opened(table, folds=2)
    steps = opened(table, recipe="demo")
    assert [steps[name].split for name in ("eval", "baseline", "report")] == ["test"] * 3


def test_objects_are_imported_in_place_of_detecting(table: Path) -> None:
    Path("masks").mkdir()
    steps = opened(table, objects=Path("masks"), form="epic100", partial=True)
    assert "detect" not in steps and "check-objects" not in steps
    for name in ("train", "calibrate", "eval", "baseline", "report"):
        assert steps[name].resources.partial
    options = ObjectOptions(first_frame=1, names="{video}_{frame}.jpg", groups=True)
    given = {"objects": Path("masks"), "form": "coco", "options": options}
    imported = opened(table, **given)["import-objects"]
    assert (imported.source, imported.form, imported.options) == (*given.values(),)
    for form, rest in (("coco", "--objects FILE --format coco"), ("epic100", "--shards FOLDER")):
        request = PipelineConfig(dataset=str(table), objects=Path("masks"), form=form)
        pipeline, _ = open_pipeline(request)
        assert prediction_command(pipeline) == f"orn predict {pipeline.run} VIDEO {rest}"
    for wrong, problem in (
        ({"options": ObjectOptions(groups=True)}, r"--groups: requires --objects; add it"),
        ({"objects": Path("masks")}, r"--format"),
        ({"objects": Path("masks"), "form": "csv", "rate": 5}, r"--rate: .*`orn import-objects`"),
    ):
        with pytest.raises(ConfigError, match=problem):
            opened(table, **wrong)


def test_a_backbone_is_passed_on_with_the_size_of_its_frames(table: Path) -> None:
    network = "torchvision/r2plus1d_18"
    clips = opened(table, overrides=(f"model.backbone={network}", "data.crop=[112,112]"))["clips"]
    assert (clips.backbone, clips.size) == (network, (112, 112))
    clips = opened(table, overrides=("model.backbone=motion",))["clips"]
    assert clips.motion and clips.backbone is None


def test_short_steps_start_no_processes(table: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """With as many threads as beside workers, on which rounding depends."""
    make_films(table)
    monkeypatch.delenv("OMP_NUM_THREADS", raising=False)
    for epochs, workers in ((2, (1, 0)), (10**6, (1, WITH_WORKERS.workers))):
        request = PipelineConfig(
            dataset=str(table), recipe="demo", overrides=(f"phases.epochs={epochs}",)
        )
        pipeline, dataset = open_pipeline(request)
        steps = estimate.with_work(pipeline_steps(pipeline), pipeline, dataset)
        planned = {step.name: step.config for step in steps}
        train = planned["train"].resources
        assert (planned["clips"].workers, train.workers) == workers
        assert train.num_threads() == WITH_WORKERS.num_threads()


def test_a_table_is_trained_by_its_manifest(table: Path) -> None:
    assert "orn manifest new kitchen/labels.csv" in run_orn("train", table, exit_code=2).stderr


def test_nothing_to_evaluate_is_refused(table: Path) -> None:
    rows = [f"{row},train" for row in ROWS]
    table.write_text("\n".join(["video,label,split", *rows]) + "\n")
    with pytest.raises(ConfigError, match=r"kitchen\.toml: .*evaluate; .*`orn manifest new"):
        opened(table)


def test_a_dry_run_downloads_nothing_and_names_what_was_typed(table, tmp_path, monkeypatch) -> None:
    """With the default detector, whose weights are not there."""
    make_films(table)
    (table.parent / "videos" / "film3.mp4").unlink()
    monkeypatch.setenv("TORCH_HOME", str(tmp_path / "torch"))
    words = ("run", table, "--recipe", "demo", "--dry-run", "--json")
    (needed,) = re.findall("`orn (.*)`", run_orn(*words, exit_code=2).stderr)
    assert not list(tmp_path.glob("*.toml"))
    run_orn(*shlex.split(needed))
    ran = run_orn(*words)
    steps = {step["step"]: step for step in ran.json["steps"]}
    assert steps["detect"]["remaining"] == "54 frames of 9 videos"
    assert any("mask_rcnn_r50_fpn" in name for name in ran.json["downloads"])
    assert steps["detect"]["seconds"] > 1 and steps["train"]["remaining"] == "18 steps of 16 clips"
    assert not (tmp_path / "torch").exists()
    assert re.search(r"missing in kitchen \(such as film3\)", ran.stderr)
    assert not {path.name for path in tmp_path.iterdir()} - {"kitchen", "kitchen.toml"}
    assert f"{table} --folds 5 --fresh`" in ran.json["advice"][0]


@pytest.mark.mmdet
def test_shards_of_another_detector_are_noticed_before_any_work(table: Path) -> None:
    make_films(table)
    data = ("--data", str(Path.cwd()))
    run_orn("manifest", "new", table, "--split", "60/40")
    run_orn("detect", "kitchen.toml", *data, "--config", "mask_rcnn_demo")
    before = sorted(Path().rglob("*"))
    for words in (
        ("detect", "kitchen.toml", *data, "--dry-run"),
        ("detect", "kitchen.toml", *data),
        ("run", table, "--recipe", "demo", "--dry-run"),
        ("run", table, "--recipe", "demo", "--yes"),
    ):
        message = run_orn(*words, exit_code=2).stderr.splitlines()[-1]
        assert "detector.config_name is 'mask_rcnn_demo'" in message
        assert "resume with" in message and ("--out" in message) == (words[0] == "detect")
    again = run_orn("run", table, "--recipe", "demo", "--dry-run", "--fresh", "--json").json
    assert again["steps"][1]["remaining"] == "60 frames of 10 videos"
    assert sorted(Path().rglob("*")) == before


@contextmanager
def terminal(answer: str) -> Iterator[None]:
    """A terminal on which somebody has typed an answer."""
    ours, theirs = os.openpty()
    os.write(ours, answer.encode())
    with os.fdopen(theirs) as stdin, pytest.MonkeyPatch.context() as patch:
        patch.setattr(sys, "stdin", stdin)
        yield
    os.close(ours)


ESTIMATE = {
    "dataset": "kitchen",
    "device": "cpu",
    "steps": [{"step": "detect", "remaining": "90 frames", "seconds": 9000.0}],
    "seconds": 9000.0,
    "removed": [],
    "downloads": ["https://example.org/weights.pth"],
    "advice": ["cross-validate with --folds 5"],
    "new_run": None,
}


def test_it_shows_the_estimate_and_starts_nothing_where_the_answer_is_no(
    table: Path, monkeypatch: pytest.MonkeyPatch, capfd
) -> None:
    monkeypatch.setattr(estimate, "with_work", lambda steps, *_: steps)
    monkeypatch.setattr(estimate, "describe_run", lambda *_: ESTIMATE)
    with terminal("n\n"):
        assert program.main(["run", str(table), "--recipe", "demo"], standalone_mode=False) == 1
    message = capfd.readouterr().err
    shown = ("--folds 5", "90 frames", "2.5 h", "example.org/weights.pth", "Start?")
    assert all(part in message for part in shown)
    assert message.index("--folds 5") < message.index("Start?")
    assert not Path("runs").exists()


def begin_detection(config: str, *, score_threshold: float, rate: float | None = None) -> None:
    """Save the plan of `orn detect`, as it does before its first shard."""
    from orn.stage1_detect.mmdet.detector import known_settings
    from orn.stage1_detect.mmdet.model import read_config

    known = known_settings(
        read_config(config), score_threshold=score_threshold, precision="float32", batch_size=1
    )
    entry = DetectorEntry(**known, checkpoint_digest="sha256:0", class_names=COCO_CLASSES)
    job = plan_job(
        load_dataset("kitchen.toml", Path.cwd()),
        DetectConfig(dataset="kitchen.toml", data_root=Path.cwd(), rate=rate),
        folder=Path("shards/kitchen"),
        settings={"detector": asdict(entry)},
    )
    job.plan.save(job.folder)


@pytest.mark.mmdet
def test_detection_keeps_the_weak_objects_that_the_recipe_uses(table: Path) -> None:
    """Where it has begun, it keeps its own threshold."""
    assert opened(table, recipe="small")["detect"].score_threshold == 0.1
    assert opened(table, recipe="demo")["detect"].score_threshold == 0.3
    begin_detection("rtmdet-ins_tiny_8xb32-300e_coco", score_threshold=0.2)
    assert opened(table, recipe="small")["detect"].score_threshold == 0.2


SMALL = (
    *("--config", "mask_rcnn_demo"),
    *("--set", "model.base_width=4", "--set", "optimizer.batch_size=2"),
    *("--set", "data.max_objects=0", "--set", "initial_weights=random"),
    *("--set", "phases.epochs=3", "--set", "phases.object_head_epochs=3"),
)


def kill_when(words: tuple[str, ...], sign: str, log: Path) -> None:
    """Runs `orn` until its log has a sign, and then kills it with all that it has started."""
    with log.open("wb") as file:
        process = subprocess.Popen(
            [sys.executable, "-P", "-m", "orn", *words],
            stdout=file, stderr=file, stdin=subprocess.DEVNULL, start_new_session=True,
        )  # fmt: skip
        until = time.monotonic() + SECONDS
        while sign not in log.read_text() and process.poll() is None and time.monotonic() < until:
            time.sleep(0.05)
        os.killpg(process.pid, signal.SIGKILL)
        process.wait()
    assert sign in log.read_text(), log.read_text()[-2000:]


@pytest.mark.slow
def test_killed_in_every_step_it_goes_on_to_the_report(table: Path, tmp_path: Path) -> None:
    """With the default recipe, on films too short to say anything, with the demo's detector."""
    make_films(table)
    run_orn("manifest", "new", table, "--split", "60/40")
    words = ("run", str(table), *SMALL, "--yes", "--json")
    steps = ("check", "detect", "clips", "train", "eval", "baseline", "report")
    for step in steps:
        kill_when(words, f"] {step}", tmp_path / "log.txt")
        assert "total" in (tmp_path / "log.txt").read_text()
        run_orn(*words[:-2], "--dry-run")
    ended = run_orn(*words, alone=True)
    assert "in all" not in ended.stderr  # it was agreed to
    result = ended.json
    assert (result["num_segments"], result["metric"]) == (4, "top1")
    figures = json.loads((Path(result["run"]) / "eval-validation.json").read_text())
    assert figures["two_heads"]["top1"] == result["score"]
    assert Path(result["report"]).stat().st_size > 10_000

    left = run_orn("run", "kitchen.toml", *SMALL, "--data", tmp_path, "--dry-run", "--json")
    steps = {step["step"]: step for step in left.json["steps"]}
    assert [steps[name]["remaining"] for name in ("detect", "clips")] == [
        "0 frames of 10 videos",
        "0 frames of 0 videos",
    ]
