"""What a report says besides the scores."""

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from orn.shared.errors import CheckpointError, ConfigError
from orn.shared.shards.detection_folder import DetectionFolder
from orn.shared.shards.writer import ShardWriter
from orn.stage2_train.clips.usable_segments import JoinedSplit
from orn.stage2_train.evaluation.eval_config import EvalConfig
from orn.stage2_train.evaluation.evaluate import evaluate_run
from orn.stage2_train.parts import TEMPERATURES_NAME, temperatures
from orn.stage2_train.parts.temperatures import load_temperatures
from orn.stage2_train.report.eval_results import load_measured
from orn.stage2_train.runs.accelerator import build_accelerator
from orn.stage2_train.runs.checkpoint import load_best
from orn.stage2_train.runs.eval_file import EvalFile, read_eval
from orn.stage2_train.runs.run_config import read_config
from orn.stage2_train.settings.model_config import NetworkConfig
from orn.stage2_train.settings.recipe import DataRecipe, Recipe
from tests.running import LAPTOP, run_orn
from tests.stage2_train.training.conftest import sources_of
from tests.worlds.films import DETECTOR, make_workspace, words_of, write_films_shard

MULTI_LABEL = {"task": "multi-label", "metric": "map"}


def text_of(report: dict[str, Any]) -> str:
    """What `orn eval` prints of its results."""
    return EvalFile.model_validate(report).summary().text()


@pytest.fixture
def measure(tiny_world, tmp_path) -> Callable[..., dict[str, Any]]:
    """What `orn eval` says of one run on segments of several labels, or of none: the first
    `num_unsure` of class 0 may be of class 1, too."""
    options = make_workspace(tiny_world, tmp_path, "multi-label", "map")
    accelerator = build_accelerator("fp32", "cpu")

    def measured(
        num_unsure: int, variant: str = "paper", *, labeled: bool = True
    ) -> dict[str, Any]:
        run = tmp_path / ("run" if variant == "paper" else variant)
        chosen = ("--set", f"model.variant={variant}", "--max-steps", "2")
        run_orn("train", *words_of(options | {"--run": str(run)}), *chosen)
        segments = list(tiny_world.dataset.segments)
        if not labeled:
            segments = [replace(segment, labels=()) for segment in segments]
        for row in (2, 8)[:num_unsure]:
            segments[row] = replace(segments[row], unsure=(1,))
        opened = sources_of(tiny_world, **MULTI_LABEL, segments=tuple(segments))
        file = evaluate_run(run, opened, EvalConfig(), accelerator=accelerator)
        assert file.num_unsure == num_unsure
        assert read_eval(run / "eval-validation.json") == file
        return file.as_json()

    return measured


def test_a_report_says_how_it_counts_what_annotators_could_not_tell(measure) -> None:
    """Without these pairs class 1 has nothing but positives, and an average precision of 1."""
    left_out, negative = measure(2), measure(2, "authors")
    assert [row["num_segments"] for row in left_out["per_class"]] == [2, 2]
    assert left_out["per_class"][1]["object_head"] == 1
    assert negative["per_class"][1]["object_head"] < 1
    assert (left_out["chance"], negative["chance"]) == pytest.approx((0.75, 0.5))
    # What the other way gives stands beside it.
    both = [left_out["object_head"][name] for name in ("map", "map_unsure_negative")]
    assert both[0] > both[1]
    assert "map_unsure_negative" not in negative["object_head"]
    for report in (left_out, negative):
        assert "unsure labels (2)" in text_of(report)
    assert "unsure" not in text_of(measure(0))


def test_average_precision_without_a_positive_is_null(measure, tmp_path) -> None:
    report = measure(0, labeled=False)
    assert report["object_head"] == {"map": None, "classes_without_positives": 2}
    assert report["figures"]["object_head"]["map"] == dict.fromkeys(("value", "low", "high"))
    assert ("map", "-") in EvalFile.model_validate(report).summary().tables[0].rows
    run = tmp_path / "run"
    assert run_orn("compare", run, run, "--json").json["figures"]["map"]["difference"] is None
    assert "0.00" not in run_orn("compare", run, run).stdout
    with pytest.raises(CheckpointError, match="no map per head"):
        load_measured(run, "validation", ("right", "down"))


def test_segments_whose_video_failed_count_neither_as_right_nor_as_wrong(
    tiny_world, workspace, tmp_path
) -> None:
    """One clip has both labels in turn, so that half is right whatever the network says."""
    run = Path(workspace["--run"])
    run_orn("train", *words_of(workspace), "--max-steps", "2")
    shards = tmp_path / "one failed"
    write_films_shard(shards / "shard-000000.zarr.zip", [tiny_world.films["film/5"]])
    with ShardWriter(shards / "shard-000001.zarr.zip", DETECTOR) as writer:
        writer.fail("film/2", "torn")
    of_film = {segment.video_id: segment for segment in tiny_world.dataset.segments}
    segments = [of_film["film/2"]]
    segments += [replace(of_film["film/5"], id=f"as {label}", labels=(label,)) for label in (0, 1)]
    opened = sources_of(tiny_world, segments=tuple(segments))
    opened = replace(opened, detections=DetectionFolder(shards))
    accelerator = build_accelerator("fp32", "cpu")
    report = evaluate_run(run, opened, EvalConfig(), accelerator=accelerator).as_json()
    assert (report["num_segments"], report["num_skipped"]) == (2, 1)
    assert report["object_head"] == {"top1": 0.5}
    assert report["figures"]["object_head"]["top1"]["value"] == 0.5
    assert [row["num_segments"] for row in report["per_class"]] == [1, 1]


def test_ratio_join_is_refused_where_videos_are_not_stored_whole(tiny_world) -> None:
    data = DataRecipe(crop=(32, 48))
    recipe = Recipe(model=NetworkConfig(num_activities=2, variant="authors"), data=data)
    nothing = JoinedSplit(split="test", segments=(), skipped=())
    sources_of(tiny_world).clip_dataset(nothing, recipe)
    with pytest.raises(ConfigError, match=r"model\.variant: .*tiny"):
        sources_of(tiny_world, form="segments").clip_dataset(nothing, recipe)


def test_training_on_train_and_validation_keeps_the_last_weights(workspace, monkeypatch) -> None:
    monkeypatch.setattr(temperatures, "FEWEST_SEGMENTS", 1)  # so that a few clips would suffice
    run = Path(workspace["--run"])
    both = ("--set", "data.train_with_validation=true", "--json")
    report = run_orn("train", *words_of(workspace), *both).json
    assert (report["num_train"], report["num_validation"]) == (12, 0)
    assert load_best(run).step == report["step"]
    assert read_config(run).dataset.num_train == 12
    message = run_orn("eval", run).stderr
    assert message.count("trained on the validation split, so ") == 1
    assert "--split test" in message
    assert read_eval(run / "eval-validation.json").trained_on
    assert load_temperatures(run / TEMPERATURES_NAME).num_segments == 0  # all trained the weights


def test_controls_are_of_one_view_and_no_evaluation_writes_temperatures(one_step) -> None:
    path = Path(one_step) / TEMPERATURES_NAME
    path.unlink(missing_ok=True)
    for words, has_controls in (
        (("--views", "2"), False),
        (("--split", "train"), False),
        ((), True),
    ):
        report = run_orn("eval", one_step, *LAPTOP, *words, "--json").json
        assert ("controls" in report) == has_controls
        assert not path.exists()
