"""The job of `orn report`: an offline page about a run, RUN/report.html."""

import logging
import time
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from operator import itemgetter
from pathlib import Path

import torch

from orn.data_manifests.records import Split
from orn.shared.data_files import json_digest
from orn.shared.errors import PipelineError
from orn.shared.jobs.atomic_file import write_text
from orn.shared.jobs.progress import SILENT, Reporter
from orn.shared.text_summary import Outcome
from orn.stage2_train.evaluation.eval_config import EvalConfig
from orn.stage2_train.evaluation.evaluate import evaluate, stale_evaluation
from orn.stage2_train.evaluation.evaluate_folds import evaluate_folds
from orn.stage2_train.report.eval_results import Measured, load_measured
from orn.stage2_train.report.explained_clips import EvaluatedRun, explain_clips
from orn.stage2_train.report.film_timelines import TIMELINES, write_timelines
from orn.stage2_train.report.report_view import report_page, update_command
from orn.stage2_train.runs.eval_file import read_eval
from orn.stage2_train.runs.find_run import chosen_run
from orn.stage2_train.runs.made_from import MadeFrom, in_page, output_digests, why_stale
from orn.stage2_train.runs.run_folder import (
    BASELINE_NAME,
    REPORT_NAME,
    check_room,
    config_digest,
    result_paths,
)
from orn.stage2_train.runs.trained import (
    OpenedModel,
    data_of_run,
    fold_runs,
    open_model,
    paths_of_run,
)
from orn.stage2_train.settings.names import FOLDS
from orn.stage2_train.settings.resources import WITH_WORKERS, DataAndDevice

logger = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True, kw_only=True)
class ReportConfig:
    """What `write_report` does."""

    run: str | Path | None = None
    """The run folder; default: the newest run."""
    split: Split = "validation"
    """Split to report on; with folds, these are their test splits."""
    resources: DataAndDevice = WITH_WORKERS
    """Paths of the data, workers and device."""


def write_report(config: ReportConfig, reporter: Reporter = SILENT) -> Outcome:
    """Write the page for a run, or for all folds of a cross-validation; evaluate it first unless
    its evaluation is current. Return the page (`report`), its size in `bytes`, and the `seconds`.

    Raises:
        CheckpointError: if the run has no checkpoint, or its evaluation is damaged.
    """
    started = time.monotonic()
    run, split, resources = chosen_run(config.run, None, reporter), config.split, config.resources
    folds = fold_runs(run)
    models = [open_model(fold, device="cpu") for fold in folds or (run,)]
    check_room(run)
    torch.set_num_threads(resources.num_threads())
    of_each = [
        _measured(model, "test" if folds else split, resources, reporter) for model in models
    ]
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
        measured = load_measured(run, FOLDS, first.classes) or measured
    paths = paths_of_run(first.path, first.config, resources)
    html = report_page(
        run,
        runs,
        measured,
        explain_clips(runs, measured, resources, reporter),
        paths=paths,
        timelines=write_timelines(
            run,
            measured,
            {video.id: video.path for video in runs[0].opened.dataset.videos},
            update_command(paths, "FILE.csv"),
        ),
    )
    html += in_page(_made_from(run, folds, split))
    write_text(run / REPORT_NAME, html)
    written = {
        "report": str(run / REPORT_NAME),
        "bytes": len(html.encode()),
        "seconds": round(time.monotonic() - started, 1),
    }
    return Outcome(written, itemgetter("report"))


def stale_report(run: Path, *, split: Split = "validation") -> str | None:
    """Return why a report must be written again although the evaluations that it shows are current,
    in words; None if it is current."""
    try:
        return why_stale(run / REPORT_NAME, _made_from(run, fold_runs(run), split))
    except PipelineError:  # the report will raise it
        return ""


def _made_from(run: Path, folds: Sequence[Path], split: Split) -> MadeFrom:
    """Return what a report is made from: evaluations, which name their own inputs."""
    return {
        "config": json_digest([split, [config_digest(fold) for fold in folds or (run,)]]),
        "outputs": output_digests(run, _results(run, folds, split)),
    }


def _results(run: Path, folds: Sequence[Path], split: Split) -> list[Path]:
    """Return the results of a run and of its baseline, with folds also those of each fold, and the
    timelines beside the report, which are to be as they were written."""
    names = {run: FOLDS if folds else split, **dict.fromkeys(folds, "test")}
    results = [
        path
        for of, name in names.items()
        for folder in (of, run / BASELINE_NAME / of.relative_to(run))
        for path in result_paths(folder, name)
    ]
    return [*results, *sorted((run / TIMELINES).rglob("*.html"))]


def _evaluated(model: OpenedModel, measured: Measured, resources: DataAndDevice) -> EvaluatedRun:
    """Return a run with its evaluated segments."""
    split, opened = measured.file.split, data_of_run(model.path, model.config, resources)
    joined = opened.join(split, model.config.recipe)
    return EvaluatedRun(model=model, opened=opened, joined=joined)


def _measured(
    model: OpenedModel, split: Split, resources: DataAndDevice, reporter: Reporter
) -> Measured:
    """Return the evaluation of a model, made again with as many clips if it is not current."""
    evaluation = EvalConfig(run=model.path, split=split, resources=resources)
    with suppress(PipelineError):  # missing or damaged
        earlier = read_eval(result_paths(model.path, split)[0])
        evaluation = replace(evaluation, num_clips=earlier.clips)
    if (why := stale_evaluation(evaluation)) is not None:
        if why:
            logger.info("%s: %s since it was evaluated; evaluating it again", model.path, why)
        evaluate(evaluation, reporter)
    measured = load_measured(model.path, split, model.classes)
    assert measured is not None
    return measured
