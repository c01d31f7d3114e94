"""The pipeline of `orn run`: check, detect or import, store clips, train, evaluate, evaluate a
baseline, report.

Each step is a command that a user could type. The steps detect, clips and train determine the
remaining work themselves, so videos that are added later are also processed.
"""

import functools
import shlex
from collections.abc import Callable
from dataclasses import asdict
from pathlib import Path
from typing import Any

from orn.data_manifests.folds import write_fold_manifests
from orn.data_manifests.records import Split
from orn.run.plan_run import Pipeline, Training
from orn.shared.errors import SOME_FAILED, PipelineError
from orn.shared.jobs.child_processes import Job, run_jobs
from orn.shared.jobs.lock import locked
from orn.shared.text import counted
from orn.shared.text_report import Report
from orn.stage2_train.runs.eval_file import read_eval
from orn.stage2_train.runs.run_folder import BEST_NAME, LAST_NAME, earlier_run
from orn.stage2_train.settings.evaluation_names import FOLDS

_ALL_SPLITS: tuple[Split, ...] = ("train", "validation", "test")


def pipeline_jobs(pipeline: Pipeline, *, may_grow: bool = True) -> list[Job]:
    """Return the steps of a pipeline in order.

    Args:
        pipeline: settings of the pipeline.
        may_grow: whether videos may be added or changed between two runs.
    """
    data = (pipeline.manifest, "--data", str(pipeline.data_root))
    partial = ("--partial",) if pipeline.partial else ()
    places = (*_option("--shards", pipeline.shards), *_option("--clips", pipeline.clips))
    settings = [word for override in pipeline.overrides for word in ("--set", override)]
    shards = _option("--out", pipeline.shards)
    fresh = ("--fresh",) if pipeline.fresh else ()
    if pipeline.objects is not None:
        source = (str(pipeline.objects), *_option("--format", pipeline.form))
        objects = Job(
            name="import-objects",
            argv=("import-objects", pipeline.manifest, *source, *data[1:], *shards, *fresh),
            output=None,
        )
    else:
        detector = (
            *_option("--config", pipeline.config),
            *_option("--checkpoint", pipeline.checkpoint),
            *_option("--batch-size", pipeline.batch_size),
            *_option("--score-threshold", pipeline.score_threshold),
        )
        detected = pipeline.shards and pipeline.shards / "detect.json"
        objects = Job(
            name="detect",
            argv=("detect", *data, *shards, *detector, *_option("--rate", pipeline.rate), *fresh),
            output=None if may_grow else detected,
        )
    store = (*_option("--out", pipeline.clips), *pipeline.maps)
    training = ("--recipe", pipeline.recipe, "--seed", str(pipeline.seed), *settings)
    steps: list[Job] = []
    options = (*places, *training, *partial)
    for run in pipeline.trainings:
        steps += _training_jobs(run, pipeline, options, may_grow=may_grow)
    split = () if pipeline.folds else _split_option(pipeline.split)
    argv = ("report", str(pipeline.run), *split, *partial)
    steps.append(Job(name="report", argv=argv, output=pipeline.report))
    return [
        Job(
            name="check",
            argv=("manifest", "check", *data),
            output=None if may_grow else pipeline.data_root,
        ),
        objects,
        Job(
            name="clips",
            argv=("clips", *data, *store, *fresh),
            output=None if may_grow else pipeline.clips,
        ),
        *steps,
    ]


def _training_jobs(
    training: Training, pipeline: Pipeline, options: tuple[str, ...], *, may_grow: bool
) -> list[Job]:
    """Return the steps of one training run: train, evaluate, and evaluate a baseline."""
    run, partial = str(training.run), ("--partial",) if pipeline.partial else ()
    data = (training.manifest, "--data", str(pipeline.data_root))
    jobs = [
        Job(
            name=f"train{training.name}",
            argv=("train", *data, *options, "--run", run),
            output=None if may_grow else training.run / BEST_NAME,
        )
    ]
    if training.split is None or training.baseline is None:
        return jobs
    split = _split_option(training.split)

    def of_splits(splits: tuple[Split, ...]) -> Callable[[], str]:
        """Return the digest of the inputs, computed once: to compare it, and to record it."""
        inputs = functools.partial(_inputs, training, splits, partial=pipeline.partial)
        return functools.cache(inputs)

    evaluate = Job(
        name=f"eval{training.name}",
        argv=("eval", run, *split, *partial),
        output=training.evaluation,
        made_from=of_splits((training.split,)) if may_grow else None,
    )
    baseline = Job(
        name=f"baseline{training.name}",
        argv=("baseline", *data, *options, *split, "--out", str(training.baseline)),
        output=training.baseline / f"eval-{training.split}.json",
        made_from=of_splits(_ALL_SPLITS) if may_grow else None,
    )
    return [*jobs, evaluate, baseline]


def _inputs(training: Training, splits: tuple[str, ...], *, partial: bool) -> str:
    """Return the digest of the inputs of an evaluation, which reads these splits."""
    from orn.stage2_train.evaluation.inputs_digest import inputs_digest  # imports torch

    return inputs_digest(training.run, splits, partial=partial)


def _split_option(split: Split) -> tuple[str, ...]:
    return () if split == "validation" else ("--split", split)


def run_pipeline(pipeline: Pipeline) -> dict[str, Any]:
    """Run the remaining steps of a pipeline; return the paths of its results and the score.

    Raises:
        PipelineError: if a command fails; the exception carries its exit code.
    """
    if pipeline.fresh:
        with locked(pipeline.run / LAST_NAME, job="orn train"):
            earlier_run(pipeline.run, reads=pipeline.reads()).remove()
    pipeline.begin()
    if pipeline.folds:
        paths = [Path(training.manifest) for training in pipeline.trainings]
        write_fold_manifests(pipeline.manifest, paths)
    try:
        run_jobs(pipeline_jobs(pipeline), record=pipeline.record, done=pipeline.done)
    except PipelineError as err:
        if err.exit_code != SOME_FAILED:
            raise
        failure = PipelineError(f"{err}; repair these videos, or pass --partial to exclude them")
        failure.exit_code = SOME_FAILED
        raise failure from err
    file = read_eval(pipeline.evaluation)
    head, figures = next(iter(file.heads().items()))
    from orn.stage2_train.baseline.beside_network import beside_network  # imports torch

    beside = beside_network(pipeline.run, file.split)
    predict = ["orn", "predict", str(pipeline.run), "VIDEO"]
    if pipeline.objects is not None:  # no detector can be run on other videos
        predict += ["--objects", "FILE", "--format", str(pipeline.form)]
    return {
        "run": str(pipeline.run),
        "report": str(pipeline.report),
        "split": file.split,
        "num_segments": file.num_segments,
        "metric": file.metric,
        "score": figures[file.metric],
        "interval": file.interval(head, file.metric),
        "chance": file.chance,
        "baseline": None if beside is None else {**asdict(beside), "text": str(beside)},
        "next": None if pipeline.folds and pipeline.no_final else shlex.join(predict),
    }


def as_report(result: dict[str, Any]) -> Report:
    """Return the result of a pipeline in printable form."""
    interval = result["interval"]
    ends = f" [{interval[0]:.1%}, {interval[1]:.1%}]" if interval else ""
    of = "" if result["split"] == FOLDS else f"{result['split']} "
    clips = counted(result["num_segments"], f"{of}segment")
    clips += " of all folds" if result["split"] == FOLDS else ""
    return Report(
        facts=[
            (
                "Score",
                f"{result['metric']} {result['score']:.1%}{ends} on {clips}, chance "
                f"{result['chance']:.1%}",
            ),
            *([("Baseline", result["baseline"]["text"])] if result["baseline"] else []),
            ("Run", result["run"]),
            ("Report", result["report"]),
            *([("Next", result["next"])] if result["next"] else []),
        ]
    )


def _option(name: str, value: object) -> tuple[str, ...]:
    return () if value is None else (name, str(value))
