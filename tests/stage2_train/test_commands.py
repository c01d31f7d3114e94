"""`orn train` and `orn eval` through the command line, on the tiny world."""

import shutil
from pathlib import Path
from typing import Any

import pytest

from orn.stage2_train.runs.eval_file import read_eval
from orn.stage2_train.runs.run_folder import read_jsonl
from tests.running import LAPTOP, Ran, run_orn, run_python
from tests.worlds.films import words_of

LAST, BEST = "last.safetensors", "model.safetensors"
HEADS = {"two_heads", "activity_head", "object_head"}


def train(options: dict[str, str], *more: str, exit_code: int = 0) -> Ran:
    return run_orn("train", *words_of(options), "--json", *more, exit_code=exit_code)


def evaluate(run: str | Path, *more: object, exit_code: int = 0) -> Ran:
    return run_orn("eval", run, *LAPTOP, "--json", *more, exit_code=exit_code)


def in_two_processes(*arguments: str) -> dict[str, Any]:
    """The JSON that the command line prints under torchrun on a machine without a GPU."""
    words = ("-m", "torch.distributed.run", "--standalone", "--nproc_per_node", "2")
    return run_python(*words, "-m", "orn", "--", *arguments, CUDA_VISIBLE_DEVICES="").json


def test_train_then_eval(workspace) -> None:
    report = train(workspace).json
    assert report["finished"]
    assert (report["step"], report["num_train"], report["num_validation"]) == (4, 8, 4)
    run = Path(workspace["--run"])
    names = {path.name for path in run.iterdir()}
    assert {"config.json", "starts.jsonl", "metrics.jsonl", LAST, BEST} <= names

    report = evaluate(run, "--views", "2").json
    assert report == read_eval(run / "eval-validation.json").as_json()
    assert (report["split"], report["num_segments"], report["clips"]) == ("validation", 4, 2)
    assert (report["metric"], report["chance"], report["num_skipped"]) == ("top1", 0.5, 0)
    assert report["detector"].startswith("drawn sha256:")
    assert all(set(report[head]) == {"top1"} for head in HEADS)
    assert [row["class"] for row in report["per_class"]] == ["right", "down"]
    assert sum(clips for _, _, clips in report["confusion_counts"]) == 4
    first = (run / "predictions-validation.npz").read_bytes()
    assert evaluate(run, "--views", "2").json == report
    assert (run / "predictions-validation.npz").read_bytes() == first


def test_a_system_names_its_run_and_starts_from_its_own_weights(workspace) -> None:
    del workspace["--run"]
    report = train(workspace, "--dry-run", "--system", "clique-3-object-head").json
    assert report["run"] == "runs/tiny-recipe-clique-3-object-head-seed0"
    assert report["steps"] == {"object_head": 4}
    flat = ("--system", "c3d-avg", "--weights", "some.pth")
    assert "some.pth" in train(workspace, "--dry-run", *flat, exit_code=2).stderr


def test_other_measurements_have_files_of_their_own(one_step, trained_once, tmp_path) -> None:
    evaluate(one_step)
    kept = (one_step / "eval-validation.json").read_bytes()
    others = shutil.copytree(trained_once["--shards"], tmp_path / "other-shards")
    assert "--dataset" in evaluate(one_step, "--shards", others, exit_code=2).stderr
    text = Path(trained_once["manifest"]).read_text()
    (tmp_path / "others.toml").write_text(text.replace('name = "tiny"', 'name = "others"'))
    places = [part for name in ("--data", "--clips") for part in (name, trained_once[name])]
    evaluate(one_step, "--dataset", tmp_path / "others.toml", "--shards", others, *places)
    assert (one_step / "eval-validation-others.json").is_file()
    assert (one_step / "eval-validation.json").read_bytes() == kept


def test_a_split_without_segments_is_refused(one_step) -> None:
    assert "tiny, test: " in evaluate(one_step, "--split", "test", exit_code=1).stderr


@pytest.mark.slow
def test_two_processes_train_and_measure_together(workspace) -> None:
    del workspace["--device"]  # it is chosen for each
    report = in_two_processes("train", *words_of(workspace), "--json")
    assert (report["step"], report["finished"]) == (2, True)  # eight segments, batches of 2 x 4
    run = Path(workspace["--run"])
    lines = read_jsonl(run / "metrics.jsonl")
    assert [line["step"] for line in lines if line["group"] == "train"] == [1, 2]
    together = in_two_processes("eval", str(run), *LAPTOP[:2], "--json")
    alone = evaluate(run).json
    losses = [report.pop("calibration")["log_loss"] for report in (together, alone)]
    assert losses[0] == pytest.approx(losses[1])
    assert together == alone
    validated = [line for line in lines if line["group"] == "validation"][-1]
    assert validated["step"] == together["step"]
    assert validated["two_heads_top1"] == together["two_heads"]["top1"]
