"""The pipeline of `orn run`: check, detect or import, store clips, train, evaluate, evaluate a
baseline, report.

Each step is a command that a user could type. The steps detect, clips and train determine the
remaining work themselves, so videos that are added later are also processed.
"""

import functools
import shlex
from collections.abc import Callable, Mapping
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

from orn.data_manifests.folds import write_fold_manifests
from orn.data_manifests.records import SPLITS, Split
from orn.run.plan_run import Pipeline, Training
from orn.shared.data_files import file_digest
from orn.shared.errors import SOME_FAILED, PipelineError
from orn.shared.jobs.atomic_file import locked
from orn.shared.jobs.child_processes import Step, option_words, run_steps
from orn.shared.text import counted
from orn.shared.text_report import Report
from orn.stage2_train.runs.eval_file import read_eval
from orn.stage2_train.runs.run_folder import BEST_NAME, LAST_NAME, earlier_run
from orn.stage2_train.settings.evaluation_names import FOLDS


def pipeline_steps(pipeline: Pipeline, *, may_grow: bool = True) -> list[Step]:
    """Return the steps of a pipeline in order.

    Args:
        pipeline: settings of the pipeline.
        may_grow: whether videos may be added or changed between two runs.
    """
    data = (pipeline.manifest, "--data", str(pipeline.data_root))
    fresh, partial = {"--fresh": pipeline.fresh}, option_words({"--partial": pipeline.partial})
    check = Step(name="check", argv=("manifest", "check", *data), outputs=(pipeline.data_root,))
    store = (*option_words({"--out": pipeline.clips}), *pipeline.maps, *option_words(fresh))
    stored = () if pipeline.clips is None else (pipeline.clips,)
    clips = Step(name="clips", argv=("clips", *data, *store), outputs=stored)
    settings = [word for override in pipeline.overrides for word in ("--set", override)]
    places = option_words({"--shards": pipeline.shards, "--clips": pipeline.clips})
    recipe = ("--recipe", pipeline.recipe, "--seed", str(pipeline.seed))
    options = (*places, *recipe, *settings, *partial)
    split = () if pipeline.folds else _split_option(pipeline.split)
    argv = ("report", str(pipeline.run), *split, *partial)
    steps = [check, _objects_step(pipeline, data, fresh), clips]
    for training in pipeline.trainings:
        steps += _training_steps(training, pipeline, options)
    evaluations = {step.name: step.made_from for step in steps if step.made_from is not None}
    made_from = functools.partial(_reported_from, evaluations, pipeline)
    steps.append(Step(name="report", argv=argv, outputs=pipeline.reported, made_from=made_from))
    if may_grow:  # the other steps determine what remains to be done
        return [step if step.made_from else replace(step, outputs=()) for step in steps]
    return [replace(step, made_from=None) for step in steps]


def _reported_from(
    evaluations: Mapping[str, Callable[[], Mapping[str, Any]]], pipeline: Pipeline
) -> dict[str, Any]:
    """Return what a report is made from: the inputs of the evaluations, and their results."""
    results = [path for training in pipeline.trainings for path in training.results]
    return {
        "evaluations": {name: made_from() for name, made_from in evaluations.items()},
        "outputs": {str(path.relative_to(pipeline.run)): file_digest(path) for path in results},
    }


def _objects_step(pipeline: Pipeline, data: tuple[str, ...], fresh: dict[str, bool]) -> Step:
    """Return the step that detects objects or imports them."""
    out = {"--out": pipeline.shards}
    if pipeline.objects is not None:
        source = (str(pipeline.objects), *option_words({"--format": pipeline.form}))
        words = (pipeline.manifest, *source, *data[1:], *option_words({**out, **fresh}))
        return Step(name="import-objects", argv=("import-objects", *words))
    detector = {
        "--config": pipeline.config,
        "--checkpoint": pipeline.checkpoint,
        "--batch-size": pipeline.batch_size,
        "--score-threshold": pipeline.score_threshold,
        "--rate": pipeline.rate,
    }
    return Step(
        name="detect",
        argv=("detect", *data, *option_words({**out, **detector, **fresh})),
        outputs=() if pipeline.shards is None else (pipeline.shards / "job.json",),
    )


def _training_steps(training: Training, pipeline: Pipeline, options: tuple[str, ...]) -> list[Step]:
    """Return the steps of one training run: train, evaluate, and evaluate a baseline."""
    run, partial = str(training.run), option_words({"--partial": pipeline.partial})
    data = (training.manifest, "--data", str(pipeline.data_root))
    argv = ("train", *data, *options, "--run", run)
    train = Step(name=f"train{training.name}", argv=argv, outputs=(training.run / BEST_NAME,))
    if training.split is None or training.baseline is None:
        return [train]
    split = _split_option(training.split)

    def of_splits(*splits: Split) -> Callable[[], dict[str, Any]]:
        """Return the digests of the inputs, computed once: to compare them, and to record them."""
        inputs = functools.partial(_inputs, training, splits, partial=pipeline.partial)
        return functools.cache(inputs)

    evaluate = Step(
        name=f"eval{training.name}",
        argv=("eval", run, *split, *partial),
        outputs=training.results[:2],
        made_from=of_splits(training.split),
    )
    baseline = Step(
        name=f"baseline{training.name}",
        argv=("baseline", *data, *options, *split, "--out", str(training.baseline)),
        outputs=training.results[2:],
        made_from=of_splits(*SPLITS),
    )
    return [train, evaluate, baseline]


def _inputs(training: Training, splits: tuple[str, ...], *, partial: bool) -> dict[str, Any]:
    """Return what an evaluation is made from, which reads these splits."""
    from orn.stage2_train.evaluation.evaluate import made_from  # imports torch

    return made_from(training.run, splits, partial=partial)


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
        run_steps(pipeline_steps(pipeline), record=pipeline.record, done=pipeline.done)
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
    are_folds = result["split"] == FOLDS
    clips = counted(
        result["num_segments"], "segment" if are_folds else f"{result['split']} segment"
    )
    score = f"{result['metric']} {result['score']:.1%}{ends} on {clips}"
    baseline = result["baseline"] and result["baseline"]["text"]
    facts = {
        "Score": f"{score}{' of all folds' if are_folds else ''}, chance {result['chance']:.1%}",
        "Baseline": baseline,
        "Run": result["run"],
        "Report": result["report"],
        "Next": result["next"],
    }
    return Report(facts=[(name, value) for name, value in facts.items() if value])
