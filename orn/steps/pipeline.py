"""The pipeline of `orn run`: check, detect or import, store clips, train, calibrate, evaluate,
evaluate a baseline, report.

The steps detect, clips and train determine the remaining work themselves, so videos that are added
later are also processed.
"""

from collections.abc import Iterator, Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Any, get_args

from orn.data_manifests.check import CheckConfig, check
from orn.data_manifests.records import ALL, SPLITS, Split
from orn.data_manifests.update import write_fold_manifests
from orn.shared.errors import SOME_FAILED, PipelineError
from orn.shared.jobs.atomic_file import locked
from orn.shared.jobs.progress import SILENT, Reporter
from orn.shared.jobs.run_steps import Step, run_steps
from orn.shared.text import command_line, counted
from orn.shared.text_summary import Outcome, Summary
from orn.stage1_detect.detect import detect
from orn.stage1_detect.detect_config import DetectConfig
from orn.stage1_detect.imports.import_config import ImportConfig, RecordsName
from orn.stage1_detect.imports.import_objects import import_objects
from orn.stage2_train.clip_store.make_clips import make_clips
from orn.stage2_train.evaluation.baseline_gain import beside_network
from orn.stage2_train.evaluation.baseline_job import (
    BaselineConfig,
    evaluate_baseline,
    stale_baseline,
)
from orn.stage2_train.evaluation.calibrate import CalibrateConfig, calibrate, stale_calibration
from orn.stage2_train.evaluation.eval_config import EvalConfig
from orn.stage2_train.evaluation.evaluate import evaluate, stale_evaluation
from orn.stage2_train.report.report_job import ReportConfig, stale_report, write_report
from orn.stage2_train.runs.eval_file import EvalFile, read_eval
from orn.stage2_train.runs.open_data import ObjectsCheck, check_objects_of_segments
from orn.stage2_train.runs.run_folder import (
    BASELINE_NAME,
    LAST_NAME,
    REPORT_NAME,
    earlier_run,
    result_paths,
)
from orn.stage2_train.settings.names import FIGURES, FOLDS
from orn.stage2_train.training.train import train
from orn.stage2_train.training.train_config import TrainConfig
from orn.steps.estimate import with_work
from orn.steps.open_pipeline import Pipeline, open_pipeline
from orn.steps.pipeline_config import PipelineConfig


def pipeline_steps(pipeline: Pipeline) -> list[Step]:
    """Return the steps of a pipeline in order."""
    checked = CheckConfig(
        dataset=pipeline.train.manifest, data_root=pipeline.data_root, advises=False
    )
    if isinstance(pipeline.objects, DetectConfig):
        objects = Step(name="detect", function=detect, config=pipeline.objects)
    else:
        objects = Step(name="import-objects", function=import_objects, config=pipeline.objects)
    steps = [
        Step(name="check", function=check, config=checked),
        objects,
        *_check_of_objects(pipeline),
        Step(name="clips", function=make_clips, config=pipeline.clips),
    ]
    for fold, training in pipeline.trainings.items():
        steps += _training_steps(pipeline, fold, training)
    if pipeline.folds:
        steps.append(_calibration(pipeline.train, name="calibrate-folds"))
    split: Split = "validation" if pipeline.folds else pipeline.split
    report = ReportConfig(run=pipeline.run, split=split, resources=pipeline.train.resources)
    stale = partial(stale_report, pipeline.run, split=split)
    return [*steps, Step(name="report", function=write_report, config=report, stale=stale)]


def _check_of_objects(pipeline: Pipeline) -> Iterator[Step]:
    """Yield the step that refuses missing objects before frames are stored, unless segments without
    objects are left out, or frames and objects are not joined by time."""
    if pipeline.train.resources.partial or not pipeline.joins_by_time:
        return
    clips = pipeline.clips
    config = ObjectsCheck(
        manifest=pipeline.train.manifest,
        data_root=pipeline.data_root,
        shards=pipeline.shards,
        splits=SPLITS if pipeline.folds else ("train", "validation", pipeline.split),
        clip_frames=clips.clip_frames if clips.has_center_frames else None,
    )
    yield Step(name="check-objects", function=check_objects_of_segments, config=config)


def _training_steps(pipeline: Pipeline, fold: str, training: TrainConfig) -> Iterator[Step]:
    """Yield the steps of a training run: train, evaluate, and evaluate a baseline."""
    ending = f"-{fold}" if fold else ""
    yield Step(name=f"train{ending}", function=train, config=training)
    if fold == ALL:  # no split is left
        return
    split: Split = "test" if fold else pipeline.split
    if not fold:  # folds are calibrated together
        yield _calibration(training, name="calibrate")
    evaluation = EvalConfig(run=training.run, split=split, resources=training.resources)
    yield Step(
        name=f"eval{ending}",
        function=evaluate,
        config=evaluation,
        stale=partial(stale_evaluation, evaluation),
    )
    baseline = BaselineConfig(
        manifest=training.manifest,
        resources=training.resources,
        split=split,
        recipe=training.recipe,
        overrides=(*training.overrides, f"seed={training.seed or 0}"),
        out=pipeline.run / BASELINE_NAME / fold,
    )
    yield Step(
        name=f"baseline{ending}",
        function=evaluate_baseline,
        config=baseline,
        stale=partial(stale_baseline, baseline),
    )


def _calibration(training: TrainConfig, *, name: str) -> Step:
    assert training.run is not None
    config = CalibrateConfig(run=training.run, resources=training.resources)
    stale = partial(stale_calibration, config)
    return Step(name=name, function=calibrate, config=config, stale=stale)


def run(config: PipelineConfig, reporter: Reporter = SILENT) -> Outcome:
    """Process a data set from videos to a report, without a question; see `run_pipeline`.

    Raises:
        PipelineError: if the data set cannot be used, or a step fails.
    """
    pipeline, dataset = open_pipeline(config, reporter)
    steps = with_work(pipeline_steps(pipeline), pipeline, dataset)
    return run_pipeline(pipeline, steps, reporter)


def run_pipeline(pipeline: Pipeline, steps: Sequence[Step], reporter: Reporter = SILENT) -> Outcome:
    """Run the steps of a pipeline that are not current, each in a process of its own, which writes
    to stderr.

    Returns:
        Paths of the results, the score with its interval and chance level, and the next command.

    Raises:
        PipelineError: if a step fails; the exception carries its exit code.
    """
    if pipeline.objects.fresh:
        with locked(pipeline.run / LAST_NAME, job="orn train"):
            earlier_run(pipeline.run, reads=pipeline.reads()).remove()
    pipeline.begin()
    if pipeline.folds:
        paths = [Path(training.manifest) for training in pipeline.trainings.values()]
        write_fold_manifests(pipeline.train.manifest, paths)
    done = (0, SOME_FAILED) if pipeline.train.resources.partial else (0,)
    library = (pipeline.clips.backbone or "").partition("/")[:1]  # of its frozen network
    try:
        run_steps(steps, reporter, done=done, imports=["scipy.special", *filter(None, library)])
    except PipelineError as err:
        if err.exit_code == SOME_FAILED:
            err.remedy = "repair these videos, or pass --partial to exclude them"
        raise
    file = read_eval(result_paths(pipeline.run, FOLDS if pipeline.folds else pipeline.split)[0])
    return Outcome(_result(pipeline, file), _as_text)


def _result(pipeline: Pipeline, file: EvalFile) -> dict[str, Any]:
    metric, score = file.score()
    known = score.low is not None and score.high is not None
    return {
        "run": str(pipeline.run),
        "report": str(pipeline.run / REPORT_NAME),
        "split": file.split,
        "num_segments": file.num_segments,
        "num_films": file.films and len(file.films.films),
        "metric": metric,
        "score": score.value,
        "interval": (score.low, score.high) if known else None,
        "figures": file.films
        and {name: figure.value for name, figure in file.films.figures.items()},
        "chance": None if file.films else file.chance,
        "baseline": beside_network(pipeline.run, file.split),
        "next": None if pipeline.folds and pipeline.no_final else prediction_command(pipeline),
    }


def _as_text(result: Mapping[str, Any]) -> Summary:
    """Return the result of a pipeline in printable form."""
    interval, are_folds = result["interval"], result["split"] == FOLDS
    ends = f" [{interval[0]:.1%}, {interval[1]:.1%}]" if interval else ""
    number = result["num_films"] or result["num_segments"]
    kind = "film" if result["num_films"] else "segment"
    clips = counted(number, kind if are_folds else f"{result['split']} {kind}")
    of_all = " of all folds" if are_folds else ""
    score = "-" if result["score"] is None else f"{result['score']:.1%}"
    metric = FIGURES.get(result["metric"], result["metric"])
    baseline = result["baseline"] and result["baseline"]["text"]
    facts = {
        "Score": f"{metric} {score}{ends} on {clips}{of_all}, {_beside_score(result)}",
        "Baseline": baseline,
        "Run": result["run"],
        "Report": result["report"],
        "Next": result["next"],
    }
    return Summary(facts=[(name, value) for name, value in facts.items() if value])


def _beside_score(result: Mapping[str, Any]) -> str:
    """Return other figures of found intervals or, of clips, the chance level."""
    if result["figures"] is None:
        return f"chance {result['chance']:.1%}"
    known = {name: own for name, own in result["figures"].items() if own is not None}
    shown = ("frames", "f1_frames", "edit")
    return ", ".join(f"{FIGURES[name]} {known[name]:.1%}" for name in shown if name in known)


def prediction_command(pipeline: Pipeline) -> str:
    """Return the command that predicts other videos, with objects if no detector was used."""
    given = {}
    if isinstance(source := pipeline.objects, ImportConfig):
        given = {"shards": "FOLDER"}  # of masks with frames of their own
        if source.form in get_args(RecordsName):
            given = {"objects": "FILE", "format": source.form}
    return command_line("orn", "predict", pipeline.run, "VIDEO", **given)
