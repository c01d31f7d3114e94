"""Pages of predictions that no network made."""

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

from orn.stage2_train.report.eval_results import Measured
from orn.stage2_train.report.explained_clips import EvaluatedRun, Explanations
from orn.stage2_train.report.report_view import report_page
from orn.stage2_train.runs.saved_predictions import Predictions
from orn.stage2_train.runs.trained import open_model, paths_of_run
from orn.stage2_train.settings.resources import DataAndDevice
from tests.worlds.evaluations import evaluation_of


def made_page(
    run: Path,
    predictions: Predictions,
    classes: Sequence[str],
    *,
    manifest: str | None = None,
    **changes: Any,
) -> str:
    """The page of a tiny run as if it had made these predictions, perhaps of a different manifest;
    `changes` are those of the evaluation."""
    model = open_model(run, device="cpu")
    file = evaluation_of(predictions, classes, **changes)
    measured = Measured(file=file, predictions=predictions, classes=tuple(classes))
    explained = Explanations(mistakes={}, doubts=measured.doubts())
    detector = SimpleNamespace(title=predictions.ids[0], config_name="x", class_names=("cup",))
    opened = SimpleNamespace(detections=SimpleNamespace(detector=detector))
    runs = [EvaluatedRun(model=model, opened=opened, joined=SimpleNamespace(segments=()))]
    paths = paths_of_run(run, model.config, DataAndDevice())
    paths = replace(paths, manifest=manifest or paths.manifest)
    return report_page(run, runs, measured, explained, paths=paths)
