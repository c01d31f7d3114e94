"""`orn train` and `orn eval` through the command line, on the tiny world."""

import hashlib
import json
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from click.testing import CliRunner, Result

from orn.shared.cli import orn
from orn.stage2_train.insight.measured import load_measured
from orn.stage2_train.runs.run_folder import read_jsonl
from tests.conftest import ROOT
from tests.worlds.films import make_workspace

AS_BEFORE = ((), ("--num-clips", "1"), ("--views", "1x1"))


@pytest.fixture
def workspace(tiny_world, tmp_path) -> Callable[..., dict[str, str]]:
    """Makes the data root of the tiny world; see `make_workspace`."""
    return partial(make_workspace, tiny_world, tmp_path)


def train_arguments(options: dict[str, str], *more: str) -> list[str]:
    """Command line of `orn train`."""
    flags = [
        part for name, value in options.items() if name != "manifest" for part in (name, value)
    ]
    return ["train", options["manifest"], *flags, "--json", *more]


def eval_arguments(options: dict[str, str], *more: str) -> list[str]:
    """Command line of `orn eval`."""
    device = ("--device", options["--device"]) if "--device" in options else ()
    return ["eval", options["--run"], "--workers", "0", *device, *more]


def train(options: dict[str, str], *more: str) -> Result:
    """Runs `orn train` in this process."""
    return CliRunner().invoke(orn, train_arguments(options, *more))


def evaluate(options: dict[str, str], *more: str) -> Result:
    """Runs `orn eval` in this process."""
    return CliRunner().invoke(orn, eval_arguments(options, *more))


def in_processes(arguments: list[str], number: int = 2) -> dict[str, Any]:
    """The JSON that the command line prints under torchrun on a machine without a GPU."""
    result = subprocess.run(
        [
            *(sys.executable, "-m", "torch.distributed.run", "--standalone"),
            *("--nproc_per_node", f"{number}", "-m", "orn", "--", *arguments),
        ],
        capture_output=True,
        text=True,
        cwd=ROOT,
        env=os.environ | {"OMP_NUM_THREADS": "1", "CUDA_VISIBLE_DEVICES": ""},
        timeout=300,
        check=False,
    )
    assert result.returncode == 0, result.stderr[-3000:]
    return json.loads(result.stdout)


def test_train_then_eval(workspace) -> None:
    options = workspace()
    result = train(options)
    assert result.exit_code == 0, result.stderr
    report = json.loads(result.stdout)
    assert report["finished"]
    assert (report["step"], report["num_train"], report["num_validation"]) == (4, 8, 4)
    run = Path(options["--run"])
    assert {"config.toml", "starts.jsonl", "metrics.jsonl", "last.pt", "best.pt"} <= {
        path.name for path in run.iterdir()
    }

    result = evaluate(options, "--json", "--num-clips", "2")
    assert result.exit_code == 0, result.stderr
    report = json.loads(result.stdout)
    assert report == json.loads((run / "eval-validation.json").read_text())
    assert (report["split"], report["num_segments"], report["clips"]) == ("validation", 4, 2)
    assert (report["metric"], report["chance"], report["num_skipped"]) == ("top1", 0.5, 0)
    assert report["detector"].startswith("drawn sha256:")
    for head in ("two_heads", "activity_head", "object_head"):
        assert set(report[head]) == {"top1"}
    assert [row["class"] for row in report["per_class"]] == ["right", "down"]
    assert sum(clips for _, _, clips in report["confusion_counts"]) == 4
    first = (run / "predictions-validation.npz").read_bytes()
    assert json.loads(evaluate(options, "--json", "--num-clips", "2").stdout) == report
    assert (run / "predictions-validation.npz").read_bytes() == first

    result = evaluate(options, "--split", "train")
    assert "tiny, train (trained on): 8 segments, 1 clips each, step" in result.stdout
    assert "two_heads: top1 " in result.stdout
    assert "chance: 0.5000" in result.stdout


def test_the_best_checkpoint_is_chosen_by_the_validation_split(workspace) -> None:
    """Of three segments some thirds are right, of the eight that are learned some eighths."""
    options = workspace()
    labels = Path(options["--data"]) / "tiny" / "labels.csv"
    rows = labels.read_text().splitlines()
    last = max(row for row, text in enumerate(rows) if text.endswith(",validation"))
    labels.write_text("\n".join(rows[:last] + rows[last + 1 :]) + "\n")
    chosen = json.loads(train(options).stdout)
    assert (chosen["num_train"], chosen["num_validation"]) == (8, 3)
    assert 3 * chosen["best_metric"] == pytest.approx(round(3 * chosen["best_metric"]))
    measured = json.loads(evaluate(options, "--json").stdout)
    assert (measured["checkpoint"], measured["step"]) == ("best.pt", chosen["best_step"])
    assert measured["two_heads"]["top1"] == pytest.approx(chosen["best_metric"])


def test_what_one_run_learned_another_starts_from(workspace, tmp_path) -> None:
    flat = ("--set", 'model.kernels=["2d","2d","2d","2d","2d"]')
    options, file = workspace(), tmp_path / "resnet.pth"
    train(options, *flat)
    result = CliRunner().invoke(orn, ["model", "export", options["--run"], str(file)])
    assert result.exit_code == 0, result.stderr
    started = options | {"--run": str(tmp_path / "started"), "--weights": str(file)}
    train(started, *flat, "--set", "initial_weights=imagenet")
    config = (tmp_path / "started" / "config.toml").read_text()
    assert hashlib.sha256(file.read_bytes()).hexdigest() in config


def test_export_of_no_run(tmp_path) -> None:
    result = CliRunner().invoke(orn, ["model", "export", str(tmp_path), str(tmp_path / "out.pth")])
    assert result.exit_code != 0
    assert str(tmp_path) in result.stderr
    assert not (tmp_path / "out.pth").exists()


def test_stop_resume_finish_and_do_nothing(workspace) -> None:
    options = workspace()
    report = json.loads(train(options, "--max-steps", "3").stdout)
    assert (report["step"], report["finished"], report["phase"]) == (3, False, "two_heads")
    report = json.loads(train(options).stdout)
    assert (report["step"], report["finished"]) == (4, True)
    before = (Path(options["--run"]) / "last.pt").stat().st_mtime_ns
    assert json.loads(train(options).stdout)["step"] == 4
    assert (Path(options["--run"]) / "last.pt").stat().st_mtime_ns == before


def test_only_the_object_head_is_reported_before_the_other_is_trained(workspace) -> None:
    options = workspace()
    train(options, "--max-steps", "2")
    report = json.loads(evaluate(options, "--json").stdout)
    assert "object_head" in report
    assert "two_heads" not in report
    assert "activity_head" not in report


def test_last_checkpoint_where_the_phase_has_no_best(workspace) -> None:
    options = workspace()
    train(options, "--max-steps", "3")
    report = json.loads(evaluate(options, "--json").stdout)
    assert (report["checkpoint"], report["step"]) == ("last.pt", 3)
    assert "two_heads" in report


def test_another_configuration_is_refused(workspace) -> None:
    options = workspace()
    train(options, "--max-steps", "1")
    result = train(options, "--set", "optimiser.batch_size=2", "--seed", "3")
    assert result.exit_code == 2
    assert "recipe.optimiser.batch_size is 4 there, 2 asked for" in result.stderr
    assert "recipe.seed is 0 there, 3 asked for" in result.stderr


def test_multi_label(workspace) -> None:
    options = workspace("multi-label", "map")
    result = train(options)
    assert result.exit_code == 0, result.stderr
    assert json.loads(result.stdout)["metric"] == "map"
    report = json.loads(evaluate(options, "--json").stdout)
    assert set(report["two_heads"]) == {"map", "classes_without_positives"}
    assert "confusion_counts" not in report
    with np.load(Path(options["--run"]) / "predictions-validation.npz") as arrays:
        assert arrays["labels"].shape == (4, 2)


@pytest.mark.parametrize(
    ("name", "recipe"), [("vlog-ours", "paper_vlog"), ("kitchen", "paper_resnet50")]
)
def test_a_data_set_takes_its_recipe_by_itself_and_a_dry_run_says_which(
    workspace, name, recipe
) -> None:
    options = {key: value for key, value in workspace().items() if key not in ("--recipe", "--run")}
    manifest = Path(options["manifest"])
    manifest.write_text(manifest.read_text().replace('"tiny"', f'"{name}"', 1))
    small = ("--set", "data.crop=[32, 48]", "--set", "initial_weights=random")
    report = json.loads(train(options, "--dry-run", *small).stdout)
    assert report["recipe_name"] == recipe
    assert report["run"] == f"runs/{name}-{recipe}-seed0"
    assert 'backbone = "resnet50"' in report["recipe"]
    flags = [part for key in options if key != "manifest" for part in (key, options[key])]
    said = CliRunner().invoke(orn, ["train", options["manifest"], *flags, "--dry-run", *small])
    assert f"recipe_name: {recipe}\n" in said.stdout


@pytest.mark.parametrize(
    ("crop", "share"), [("[16, 32]", "15 % of the 48 x 72 pixels"), ("[48, 48]", None)]
)
@pytest.mark.parametrize("flags", [("--dry-run",), ("--max-steps", "1")])
def test_a_crop_that_leaves_most_of_a_frame_out_is_warned_of(workspace, flags, crop, share) -> None:
    result = train(workspace(), *flags, "--set", f"data.crop={crop}")
    assert result.exit_code == 0, result.stderr
    assert ("data.crop" in result.stderr) == (share is not None)
    if share is not None:
        assert share in result.stderr
        assert "--set data.crop=[32,64]" in result.stderr
        assert "orn clips" in result.stderr


def test_dry_run_writes_nothing(workspace) -> None:
    options = workspace()
    report = json.loads(train(options, "--dry-run").stdout)
    assert report["steps"] == {"object_head": 2, "two_heads": 2}
    assert "learning_rate = 0.001" in report["recipe"]
    assert not Path(options["--run"]).exists()


def test_weights_of_a_resnet(workspace, tmp_path) -> None:
    from torchvision.models import resnet18

    torch.manual_seed(0)
    torch.save(resnet18().state_dict(), tmp_path / "resnet18.pth")
    options = workspace() | {"--weights": str(tmp_path / "resnet18.pth")}
    result = train(options, "--max-steps", "1")
    assert result.exit_code == 1
    assert "do not fit the network's backbone" in result.stderr
    recipe = (tmp_path / "recipe.toml").read_text().replace("base_width = 2", "base_width = 64")
    (tmp_path / "recipe.toml").write_text(recipe)
    options["--run"] = str(tmp_path / "inflated")
    assert json.loads(train(options, "--max-steps", "1").stdout)["step"] == 1
    assert 'weights_digest = "sha256:' in (tmp_path / "inflated" / "config.toml").read_text()
    del options["--weights"]
    result = train(options, "--max-steps", "2", "--set", "initial_weights=imagenet")
    assert json.loads(result.stdout)["step"] == 2


def test_a_system_by_name(workspace) -> None:
    options = workspace()
    assert json.loads(train(options, "--system", "trn-multiscale").stdout)["finished"]
    assert json.loads(train(options, "--system", "trn-multiscale").stdout)["step"] == 4
    result = train(options, "--system", "c3d-avg")
    assert result.exit_code == 2
    assert "recipe.model.architecture is 'trn' there, 'c3d' asked for" in result.stderr
    report = json.loads(evaluate(options, "--json").stdout)
    assert report["system"] == "trn-multiscale"
    assert set(report) & {"two_heads", "activity_head", "object_head"} == {"activity_head"}
    assert "\nsystem: trn-multiscale\nactivity_head: top1 " in evaluate(options).stdout


def test_a_system_by_its_settings_is_the_same_run(workspace) -> None:
    options = workspace()
    train(options, "--system", "object-head", "--max-steps", "1")
    assert json.loads(train(options, "--set", "model.heads=object").stdout)["step"] == 4
    assert json.loads(evaluate(options, "--json").stdout)["system"] == "object-head"


def test_a_system_with_other_settings_is_reported_as_changed(workspace) -> None:
    options = workspace()
    result = train(options, "--system", "orn", "--set", "model.clique_size=3", "--max-steps", "1")
    assert result.exit_code == 0, result.stderr
    report = json.loads(evaluate(options, "--json").stdout)
    assert report["system"] == "orn, with model.clique_size=3"
    assert "\nsystem: orn, with model.clique_size=3\n" in evaluate(options).stdout


def test_a_system_names_its_run_and_starts_from_its_own_weights(workspace, tmp_path) -> None:
    options = workspace()
    del options["--run"]
    result = train(options, "--dry-run", "--system", "clique-3-object-head")
    report = json.loads(result.stdout)
    assert report["run"] == "runs/tiny-recipe-clique-3-object-head-seed0"
    assert report["steps"] == {"object_head": 4}
    result = train(options, "--dry-run", "--system", "c3d-avg", "--weights", "some.pth")
    assert result.exit_code == 2
    assert "first weights some.pth: C3D has no 2D network to start from" in result.stderr


def test_another_order_of_frames_has_files_of_its_own(workspace) -> None:
    options = workspace()
    train(options)
    forward = json.loads(evaluate(options, "--json").stdout)
    backward = json.loads(evaluate(options, "--json", "--frame-order", "reversed").stdout)
    assert (forward["frame_order"], backward["frame_order"]) == ("forward", "reversed")
    run = Path(options["--run"])
    with (
        np.load(run / "predictions-validation.npz") as ahead,
        np.load(run / "predictions-validation-reversed.npz") as back,
    ):
        assert ahead["ids"].tolist() == back["ids"].tolist()
        assert not np.allclose(ahead["logits"], back["logits"])


def test_results_with_other_shards_stand_beside_those_of_the_run(workspace, tmp_path) -> None:
    options = workspace()
    train(options, "--max-steps", "1")
    evaluate(options)
    run = Path(options["--run"])
    kept = (run / "eval-validation.json").read_bytes()
    others = tmp_path / "other-shards"
    shutil.copytree(options["--shards"], others)
    refused = evaluate(options, "--shards", str(others))
    assert refused.exit_code == 2
    assert "give --name" in refused.stderr
    assert evaluate(options, "--shards", str(others), "--name", "others").exit_code == 0
    assert (run / "eval-validation-others.json").is_file()
    assert (run / "eval-validation.json").read_bytes() == kept


def test_other_classes_are_refused(workspace, tmp_path) -> None:
    options = workspace()
    train(options, "--max-steps", "1")
    (tmp_path / "data" / "tiny" / "classes.txt").write_text("down\nright\n")
    result = evaluate(options)
    assert result.exit_code == 2
    assert "class 0 is 'right' in the run, 'down' in the data set" in result.stderr


def test_no_run(tmp_path) -> None:
    result = CliRunner().invoke(orn, ["eval", str(tmp_path)])
    assert result.exit_code == 2
    assert "wanted the folder of a training run" in result.stderr


@pytest.mark.parametrize(
    ("wanted", "exit_code", "message"),
    [
        (
            ("--split", "test"),
            1,
            "tiny, test: wanted at least one usable segment, found none of 0",
        ),
        (("--name", "../elsewhere"), 2, "--name '../elsewhere': wanted letters"),
        (("--name", "reversed"), 2, "--name 'reversed': begins with an order of frames"),
    ],
)
def test_what_cannot_be_measured_is_refused(workspace, wanted, exit_code, message) -> None:
    options = workspace()
    train(options, "--max-steps", "1")
    result = evaluate(options, *wanted)
    assert result.exit_code == exit_code
    assert message in result.stderr


@pytest.mark.slow
@pytest.mark.parametrize("device", ["cpu", None])
def test_two_processes_train_and_measure_together(workspace, device) -> None:
    options = workspace()
    if device is None:
        del options["--device"]
    report = in_processes(train_arguments(options))
    assert (report["step"], report["finished"]) == (2, True)  # eight segments, batches of 2 x 4
    lines = read_jsonl(Path(options["--run"]) / "metrics.jsonl")
    assert [line["step"] for line in lines if line["group"] == "train"] == [1, 2]
    together = in_processes(eval_arguments(options, "--json"))
    assert together == json.loads(evaluate(options, "--json").stdout)
    validated = [line for line in lines if line["group"] == "validation"][-1]
    assert validated["step"] == together["step"]
    assert validated["two_heads_top1"] == together["two_heads"]["top1"]


@pytest.mark.slow
@pytest.mark.timeout(900)
def test_processes_and_batches_of_evaluation_change_no_figure(workspace) -> None:
    """The quick sibling, of every combination: tests/stage2_train/evaluation/test_predictions.py"""
    options = workspace()
    assert train(options, "--max-steps", "1").exit_code == 0
    arguments = eval_arguments(options, "--split", "train", "--num-clips", "2", "--json")
    expected = json.loads(CliRunner().invoke(orn, arguments).stdout)
    assert expected["num_segments"] == 8
    config = Path(options["--run"]) / "config.toml"
    for number, batch_size in ((1, 1), (2, 7), (3, 1), (3, 16)):
        text = re.sub(r"(?m)^batch_size = \d+$", f"batch_size = {batch_size}", config.read_text())
        config.write_text(text)
        assert in_processes(arguments, number) == expected


def test_views_of_eval(workspace) -> None:
    options = workspace()
    assert train(options, "--max-steps", "1").exit_code == 0
    result = evaluate(options, "--views", "2x3")
    assert "tiny, validation: 4 segments, 2 clips of 3 crops each, step 1" in result.stdout
    once = json.loads((Path(options["--run"]) / "eval-validation.json").read_text())
    assert (once["clips"], once["crops"], once["flip"]) == (2, 3, False)
    same = [json.loads(evaluate(options, *flags, "--json").stdout) for flags in AS_BEFORE]
    assert same[0] == same[1] == same[2]

    result = evaluate(options, "--flip")
    assert result.exit_code == 2
    assert "tiny: flipped_classes of its manifest: wanted the pairs" in result.stderr
    manifest = Path(options["manifest"])
    manifest.write_text(f"flipped_classes = []\n{manifest.read_text()}")
    result = evaluate(options, "--views", "1x3", "--flip")
    assert "4 segments, 1 clips of 3 crops each, each also flipped, step 1" in result.stdout

    for views in ("3", "0x1", "1x2", "1001x1", "3X1", "1x3 "):
        result = evaluate(options, "--views", views)
        assert result.exit_code == 2
        assert f"wanted 1 to 1000 clips x 1 or 3 crops, such as 10x1 or 10x3, found '{views}'" in (
            " ".join(result.stderr.split())
        )
    result = evaluate(options, "--views", "1x1", "--num-clips", "1")
    assert (result.exit_code, "--views and --num-clips: wanted one" in result.stderr) == (2, True)


def test_flips_of_training_are_refused_where_nobody_says_what_they_change(workspace) -> None:
    options = workspace()
    result = train(options, "--set", "data.flip=true", "--dry-run")
    assert result.exit_code == 2
    assert "tiny: flipped_classes of its manifest: wanted the pairs" in result.stderr
    manifest = Path(options["manifest"])
    manifest.write_text(f'flipped_classes = [["right", "down"]]\n{manifest.read_text()}')
    assert train(options, "--set", "data.flip=true", "--max-steps", "1").exit_code == 0


def test_reports_of_older_releases_are_read(workspace, tmp_path) -> None:
    """With the whole confusion matrix, and without what views there are."""
    options = workspace()
    assert train(options, "--max-steps", "1").exit_code == 0
    assert evaluate(options).exit_code == 0
    run = Path(options["--run"])
    path = run / "eval-validation.json"
    report = json.loads(path.read_text())
    del report["confusion_counts"], report["crops"], report["flip"]
    path.write_text(json.dumps(report | {"confusion": [[1, 1], [0, 2]]}, indent=2))
    for command in (["compare", str(run), str(run)], ["runs", "--folder", str(tmp_path)]):
        result = CliRunner().invoke(orn, [*command, "--json"])
        assert result.exit_code == 0, result.stderr
    found = load_measured(run, "validation", ("right", "down"), step=1)
    assert found is not None
    assert found.file.num_segments == 4
