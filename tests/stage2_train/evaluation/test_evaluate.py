"""What a report says besides the scores."""

from dataclasses import replace
from pathlib import Path

import pytest
from click.testing import CliRunner

from shared.cli import orn
from stage2_train.devices import build_accelerator
from stage2_train.evaluation.evaluate import EvalRequest, evaluate_run
from stage2_train.runs.run_config import load_run_config
from stage2_train.runs.sources import Sources
from tests.stage2_train.tiny_workspace import make_workspace


def test_chance_leaves_out_what_annotators_could_not_tell(tiny_world, tmp_path) -> None:
    options = make_workspace(tiny_world, tmp_path, "multi-label", "map")
    manifest, run = options.pop("manifest"), Path(options["--run"])
    flags = [part for option in options.items() for part in option]
    result = CliRunner().invoke(orn, ["train", manifest, *flags, "--max-steps", "1"])
    assert result.exit_code == 0, result.stderr

    segments = list(tiny_world.dataset.segments)
    place = next(
        row
        for row, segment in enumerate(segments)
        if segment.split == "validation" and segment.labels == (0,)
    )
    segments[place] = replace(segments[place], unsure=(1,))
    sources = Sources(
        dataset=replace(
            tiny_world.dataset, task="multi-label", metric="map", segments=tuple(segments)
        ),
        clips=tiny_world.clips(),
        detections=tiny_world.detections(),
    )
    report = evaluate_run(
        load_run_config(run),
        sources,
        EvalRequest(run=run),
        accelerator=build_accelerator("fp32", "cpu"),
    )
    assert [row["num_segments"] for row in report["per_class"]] == [2, 2]
    assert report["chance"] == pytest.approx((2 / 4 + 2 / 3) / 2)
