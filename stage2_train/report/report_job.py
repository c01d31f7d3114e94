"""The job of `orn report`: an offline page about a run, RUN/report.html."""

import time
from pathlib import Path
from typing import Any

import torch

from orn.data_manifests.records import Split
from orn.shared.errors import JoinError
from orn.shared.jobs.atomic_file import write_text
from orn.shared.text import counted
from orn.stage2_train.evaluation.evaluate import evaluate_folds
from orn.stage2_train.report.cases import EvaluatedRun, explain_clips
from orn.stage2_train.report.curves import training_curves
from orn.stage2_train.report.measured import Measured, load_measured
from orn.stage2_train.report.report_view import report_page
from orn.stage2_train.runs.run_folder import BASELINE_NAME, check_room
from orn.stage2_train.runs.trained import (
    OpenedModel,
    fold_runs,
    open_model,
    paths_of_run,
    sources_of_run,
)
from orn.stage2_train.settings.evaluation_names import FOLDS
from orn.stage2_train.settings.resources import Resources

_USUAL = Resources()


def write_report(
    run: Path, *, split: Split = "validation", resources: Resources = _USUAL
) -> dict[str, Any]:
    """Write the page for a run, or for all folds of a cross-validation; evaluate it first if
    necessary.

    Args:
        run: the run folder.
        split: split to report on; with folds, these are their test splits.
        resources: paths of the data, and the device.

    Returns:
        `report`, `bytes`, `seconds`.

    Raises:
        CheckpointError: if the run has no checkpoint, or its evaluation is damaged.
        JoinError: if different segments were evaluated.
    """
    started = time.monotonic()
    folds = fold_runs(run)
    models = [open_model(fold, device="cpu") for fold in folds or (run,)]
    check_room(run)
    torch.set_num_threads(resources.num_threads())
    of_each = [_measured(model, "test" if folds else split, resources) for model in models]
    runs = [
        _evaluated(model, measured, resources)
        for model, measured in zip(models, of_each, strict=True)
    ]
    measured, first = of_each[0], models[0]
    if folds:
        evaluate_folds(run, folds)
        baselines = [run / BASELINE_NAME / fold.name for fold in folds]
        if all((baseline / "eval-test.json").exists() for baseline in baselines):
            evaluate_folds(run / BASELINE_NAME, baselines)
        measured = load_measured(run, FOLDS, first.classes, step=first.step) or measured
    html = report_page(
        run,
        runs,
        measured,
        explain_clips(runs, measured, resources),
        paths=paths_of_run(first.path, first.config, resources),
        curves=[
            training_curves(model.path, measured.file.metric, measured.file.chance)
            for model in models
        ],
    )
    write_text(run / "report.html", html)
    return {
        "report": str(run / "report.html"),
        "bytes": len(html.encode()),
        "seconds": round(time.monotonic() - started, 1),
    }


def _evaluated(model: OpenedModel, measured: Measured, resources: Resources) -> EvaluatedRun:
    """Return a run with its evaluated segments.

    Raises:
        JoinError: if different segments were evaluated.
    """
    split, sources = measured.file.split, sources_of_run(model.path, model.config, resources)
    joined = sources.join(split, model.config.recipe)
    known = zip(measured.predictions.ids, measured.labels(), strict=True)
    if [(segment.id, segment.labels) for segment in joined.segments] != list(known):
        raise JoinError(
            f"{model.path}: expected the {counted(measured.file.num_segments, 'segment')} of "
            f"{split} evaluated by `orn eval`, got {len(joined.segments)} with different ids or "
            "labels; evaluate the run again"
        )
    return EvaluatedRun(model=model, sources=sources, joined=joined)


def _measured(model: OpenedModel, split: Split, resources: Resources) -> Measured:
    measured = load_measured(model.path, split, model.classes, step=model.step)
    if measured is None:
        from orn.stage2_train.evaluation.eval_request import EvalRequest
        from orn.stage2_train.evaluation.evaluate import evaluate

        evaluate(EvalRequest(run=model.path, split=split, resources=resources))
        measured = load_measured(model.path, split, model.classes, step=model.step)
        assert measured is not None
    return measured
