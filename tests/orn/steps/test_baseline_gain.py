"""A run's baseline beside it: in the first lines of the report, for a split and for folds."""

import json
import re
from pathlib import Path

import numpy as np
import pytest

from orn.stage2_train.evaluation.baseline_gain import beside_network
from orn.stage2_train.runs.saved_predictions import load_predictions, save_predictions
from orn.steps.pipeline import pipeline_steps
from tests.orn.steps.pipelines import begin, carry_out, pipeline_of
from tests.running import LAPTOP, run_orn
from tests.worlds.films import build_world, make_workspace, write_maps


def carried_out(folder: Path, folds: int | None, task: str, metric: str) -> Path:
    """The run of a pipeline whose steps from training to report were carried out, with maps."""
    world = build_world(folder / "world")
    write_maps(world.store_path, [*world.films.values()])
    options = make_workspace(world, folder, task, metric)
    pipeline = pipeline_of(world, options, folds=folds, no_final=True)
    begin(pipeline)
    for step in pipeline_steps(pipeline)[4:]:
        carry_out(step)
    return pipeline.run


def first_lines(run: Path) -> str:
    """What the report says of the baseline."""
    match = re.search(r'<p id="baseline">(.*?)</p>', (run / "report.html").read_text())
    assert match
    return match[1].replace("&nbsp;", " ").replace("\u00a0", " ")


@pytest.mark.parametrize(
    ("folds", "task", "metric"),
    [(None, "single-label", "top1"), (2, "multi-label", "map")],
)
def test_the_report_begins_with_the_baseline(tmp_path, folds, task, metric) -> None:
    """If the segments of the two differ, it is refused in a line."""
    run = carried_out(tmp_path, folds, task, metric)
    name = "folds" if folds else "validation"
    own, network = (
        json.loads((limit / f"eval-{name}.json").read_text()) for limit in (run / "baseline", run)
    )
    line = first_lines(run)
    for words, score in (
        ("a forest on the objects", own["forest"][metric]),
        ("the frozen network alone", own["probe"][metric]),
        ("their average", own["average"][metric]),
    ):
        assert f"{words} {100 * score:.1f} %" in line
    beside = beside_network(run, name)
    assert beside is not None and line == f"On the same clips: {beside['text']}."
    if folds and metric == "map":
        assert beside["gain"] is None
        return
    score = next(network[head][metric] for head in ("model", "two_heads") if head in network)
    assert beside["gain"]["difference"] == pytest.approx(score - own["average"][metric])
    compared = run_orn("compare", run / "baseline", run, "--on", name, "--json").json
    ours = compared["figures"][metric]
    assert [beside["gain"][limit] for limit in ("low", "high")] == [ours["low"], ours["high"]]
    if not folds:
        rows = np.arange(3)
        path = run / "baseline" / "predictions-validation.npz"
        save_predictions(path, load_predictions(path).reordered(rows))
        assert "baseline" in run_orn("report", run, *LAPTOP, exit_code=2).stderr
