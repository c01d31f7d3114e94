"""What `orn run` works on: its data set, the configs of its jobs and the run folder, from its
options and the manifest, which is created for a table that has none."""

import shlex
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from orn.data_manifests.check import split_advice, unread_advice
from orn.data_manifests.load import data_root_of, files_of, load_dataset, load_manifest
from orn.data_manifests.manifest import Manifest, TableLabels
from orn.data_manifests.new_manifest import (
    NewConfig,
    root_of_table,
    usual_manifest,
    write_manifest,
)
from orn.data_manifests.records import ALL, Dataset, Split, fold_names
from orn.data_manifests.text_files import column_names
from orn.data_manifests.update import ManifestUpdate, plan_update
from orn.shared.devices import choose_device
from orn.shared.errors import ConfigError
from orn.shared.jobs.outputs import (
    EarlierResults,
    begin_output_folder,
    check_output_folder,
    default_folder,
)
from orn.shared.jobs.progress import SILENT, Reporter
from orn.shared.shards.shard_format import SHARD_FILES
from orn.shared.text import command_line
from orn.stage1_detect.detect_config import DetectConfig
from orn.stage1_detect.imports.import_config import ImportConfig
from orn.stage2_train.clip_store.clips_config import ClipsConfig, clips_for
from orn.stage2_train.clip_store.store_format import CLIP_FILES
from orn.stage2_train.runs.made_from import free_run, training_change
from orn.stage2_train.runs.run_folder import (
    BASELINE_MARKER,
    BASELINE_NAME,
    RUN_MARKER,
    earlier_run,
)
from orn.stage2_train.settings.recipe import (
    SMALL,
    Recipe,
    default_recipe,
    load_recipe,
    recipe_of_dataset,
)
from orn.stage2_train.settings.resources import WITH_WORKERS
from orn.stage2_train.training.train_config import TrainConfig
from orn.stage2_train.training.training_inputs import check_resumable
from orn.steps.film_lengths import uncovered_advice
from orn.steps.pipeline_config import PipelineConfig

_USUAL_SPLIT = "80/10/10"


@dataclass(frozen=True, slots=True, kw_only=True)
class Pipeline:
    """The configs of the jobs of a pipeline."""

    objects: DetectConfig | ImportConfig
    clips: ClipsConfig
    train: TrainConfig
    """The only training, or the one on all videos after the trainings of folds."""
    split: Split = "validation"
    """Split to evaluate."""
    folds: int | None = None
    """Number of folds of a cross-validation; None for a single split."""
    no_final: bool = False
    """Whether to omit the last training of a cross-validation, on all videos."""
    joins_by_time: bool = True
    """Whether frames and objects are joined by time."""
    advice: tuple[str, ...] = ()
    """Warnings about the splits of the data set."""
    new_run: str | None = None
    """How the training data differ from those of an earlier run, which is kept; None without one,
    or once the run has begun."""

    @property
    def data_root(self) -> Path:
        """Data root."""
        assert self.objects.data_root is not None
        return self.objects.data_root

    @property
    def shards(self) -> Path:
        """Folder of shards."""
        assert self.objects.out is not None
        return self.objects.out

    @property
    def run(self) -> Path:
        """Run folder."""
        assert self.train.run is not None
        return self.train.run

    @property
    def trainings(self) -> dict[str, TrainConfig]:
        """The training runs in order, by the name of their fold; of a single split, by ""."""
        if not self.folds:
            return {"": self.train}
        runs = {name: self.run / name for name in fold_names(self.folds)}
        if not self.no_final:
            runs[ALL] = self.run
        return {
            name: replace(self.train, manifest=str(self.run / f"{name}.toml"), run=run)
            for name, run in runs.items()
        }

    def begin(self) -> None:
        """Create the folders of the run and of its baseline, or check whose existing ones are."""
        begin_output_folder(self.run, RUN_MARKER)
        begin_output_folder(self.run / BASELINE_NAME, BASELINE_MARKER)

    def reads(self) -> Iterator[Path]:
        """Yield the files that the pipeline reads."""
        files: list[str | Path | None] = [self.train.recipe]
        if isinstance(self.objects, ImportConfig):
            yield self.objects.source
        else:
            files += [self.objects.config, self.objects.checkpoint]
        yield from (Path(name) for name in files if name and Path(name).is_file())
        yield from files_of(self.train.manifest, self.data_root)

    def earlier(self) -> tuple[EarlierResults, ...]:
        """Return what `--fresh` removes: shards, clip store and run; empty without it.

        Raises:
            ConfigError: if a folder must not be emptied, or the run folder has other files.
        """
        if not self.objects.fresh:
            check_output_folder(self.run, marker=RUN_MARKER)
            return ()
        assert self.clips.out is not None
        reads = tuple(self.reads())
        earlier = (
            SHARD_FILES.earlier(self.shards, reads=reads),
            CLIP_FILES.earlier(self.clips.out, reads=reads),
            earlier_run(self.run, reads=reads),
        )
        return tuple(results for results in earlier if results.files)


def open_pipeline(
    config: PipelineConfig, reporter: Reporter = SILENT, *, dry_run: bool = False
) -> tuple[Pipeline, Dataset]:
    """Return the pipeline for a config, and its data set; create the manifest for a table of
    labels, or add its new videos and classes.

    Args:
        config: the config.
        reporter: shows the manifest that is created, and how a table has changed.
        dry_run: whether to write nothing.

    Raises:
        PipelineError: if the data set cannot be used or lacks segments for training or evaluation,
            or if a table has no manifest in a dry run.
    """
    name, data_root, is_new = _manifest_of(config, reporter, dry_run=dry_run)
    manifest = load_manifest(name)
    _check_kind(manifest, config)
    update = plan_update(name, data_root) if config.is_table and not is_new else None
    dataset = _read_dataset(manifest, data_root, update)
    folds = _folds(manifest, config)
    split = _evaluated_split(dataset, where=name)
    recipe = config.recipe or default_recipe(dataset.name, num_segments=len(dataset.segments))
    if not config.recipe and recipe == "paper_resnet50" and choose_device("auto") == "cpu":
        recipe = SMALL
    overrides = config.overrides
    settings = load_recipe(
        recipe,
        num_activities=len(dataset.classes),
        overrides=overrides,
        clip_frames=dataset.clip_frames,
    )
    if folds:
        overrides = (*overrides, *_of_folds(settings, overrides))
    usual_run = f"{dataset.name}-{Path(recipe).stem}-seed{config.seed}"
    data: dict[str, Any] = {"data_root": data_root, "fresh": config.fresh}
    shards, clips = (default_folder(kind, dataset.name) for kind in ("shards", "clips"))
    weak = settings.data.score_threshold if recipe == SMALL else None
    pipeline = Pipeline(
        objects=_objects(config, weak, dataset=name, out=shards, **data),
        clips=clips_for(settings, manifest=name, out=clips, **data),
        train=TrainConfig(
            manifest=name,
            recipe=recipe,
            overrides=overrides,
            seed=config.seed,
            run=config.run or Path("runs", usual_run),
            resources=replace(WITH_WORKERS, data_root=data_root, partial=config.partial),
        ),
        split=split,
        folds=folds,
        no_final=config.no_final,
        joins_by_time=settings.model.variant != "authors",
        advice=(
            *unread_advice(manifest.labels, dataset),
            *split_advice(manifest.labels, dataset, root=dataset.root),
            *(uncovered_advice(dataset) if isinstance(manifest.labels, TableLabels) else ()),
        ),
    )
    if not (is_new or config.fresh):
        columns = {
            fold: _read_dataset(_of_fold(manifest, fold), data_root, update) if fold else dataset
            for fold in pipeline.trainings
        }
        pipeline = _compared(pipeline, columns, is_given=config.run is not None)
    if update is not None:
        _apply(update, pipeline, reporter, dry_run=dry_run)
    return pipeline, dataset


def _objects(
    config: PipelineConfig, weak: float | None, **options: Any
) -> DetectConfig | ImportConfig:
    """Return what detects or imports objects.

    Args:
        config: the config.
        weak: the score threshold of the recipe `small`, which uses objects that `orn detect` drops
            by default; None for another recipe. Detection that has begun keeps its threshold.
        options: options of both configs.
    """
    if config.objects is not None and config.form is not None:
        return ImportConfig(
            source=config.objects, form=config.form, options=config.options, **options
        )
    names = ("config", "checkpoint", "detector", "rate")
    detection = DetectConfig(**{name: getattr(config, name) for name in names}, **options)
    if weak is None:
        return detection
    began = saved_settings(detection).get("detector", {}).get("thresholds", {})
    return replace(detection, score_threshold=began.get("score", weak))


def saved_settings(objects: DetectConfig | ImportConfig) -> Mapping[str, Any]:
    """Return the settings of a detection or import that has begun and is not replaced; empty
    without."""
    assert objects.out is not None
    saved = None if objects.fresh else SHARD_FILES.saved_plan(objects.out)
    return {} if saved is None else saved.settings


def _evaluated_split(dataset: Dataset, *, where: str) -> Split:
    """Return the split to evaluate: validation, otherwise test.

    Raises:
        ConfigError: if there are no segments to train on or to evaluate.
    """
    splits = {segment.split for segment in dataset.segments}
    split: Split = "validation" if "validation" in splits else "test"
    for needed in ("train", split):
        if needed not in splits:
            raise ConfigError(
                f"{where}: expected segments in the train split and in the validation or test "
                f"split, got none to {'train on' if needed == 'train' else 'evaluate'}; create a "
                "split with `orn manifest new TABLE.csv --split 80/10/10 --fresh`"
            )
    return split


def _apply(
    update: ManifestUpdate, pipeline: Pipeline, reporter: Reporter, *, dry_run: bool
) -> None:
    """Write an update after saying in one line what has changed, if anything has."""
    if update.files or (pipeline.new_run and update.removed_videos):
        does = ("would update: " if dry_run else "updating: ") if update.files else ""
        reporter.line(f"{update.manifest}: {does}{'; '.join(update.lines())}")
    if not dry_run:
        update.write()


def _read_dataset(manifest: Manifest, data_root: Path, update: ManifestUpdate | None) -> Dataset:
    listing = None
    if update is not None:
        listing = update.listing(manifest, data_root_of(manifest, data_root) / manifest.root)
    return load_dataset(manifest, data_root, needs_videos=True, listing=listing)


def _of_fold(manifest: Manifest, fold: str) -> Manifest:
    """Return a manifest with the splits of a fold."""
    labels = manifest.labels.model_copy(update={"split": fold})
    return manifest.model_copy(update={"labels": labels})


def _compared(pipeline: Pipeline, columns: Mapping[str, Dataset], *, is_given: bool) -> Pipeline:
    """Return the pipeline with a run folder without a run on other training data.

    Args:
        pipeline: the pipeline.
        columns: the data set of each training, by the name of its fold.
        is_given: whether the user gave the run folder, which is then kept.

    Raises:
        ConfigError: if the existing runs have other settings, or other data in a given folder.
    """
    dataset, train = next(iter(columns.values())), pipeline.train
    recipe = recipe_of_dataset(dataset, str(train.recipe), overrides=train.overrides)

    def change_since(run: Path) -> str | None:
        others = replace(pipeline, train=replace(train, run=run)).trainings
        changes = (
            training_change(one.run or run, columns[fold], recipe)
            for fold, one in reversed(others.items())  # first that of all videos
        )
        return next(filter(None, changes), None)

    if not is_given:
        run, why = free_run(pipeline.run, change_since)
        new_run = None if run.exists() else why
        pipeline = replace(pipeline, train=replace(train, run=run), new_run=new_run)
    detector = saved_settings(pipeline.objects).get("detector", {})
    for fold, training in pipeline.trainings.items():
        check_resumable(training, columns[fold], detector)
    return pipeline


def _of_folds(recipe: Recipe, overrides: tuple[str, ...]) -> tuple[str, ...]:
    """Return the settings for the folds of a cross-validation: if the recipe validates only at the
    end, so that validation chooses nothing, its segments are used for training."""
    chooses = recipe.validation.every_epochs < recipe.phases.epochs
    is_set = any(text.startswith("data.train_with_validation=") for text in overrides)
    return () if chooses or is_set else ("data.train_with_validation=true",)


def _manifest_of(
    config: PipelineConfig, reporter: Reporter, *, dry_run: bool
) -> tuple[str, Path, bool]:
    """Return the manifest of a config, its data root, and whether it was created, for a table.

    Raises:
        ConfigError: if the default file is the manifest for a different table, or if there is none
            in a dry run.
    """
    if not config.is_table:
        manifest = load_manifest(config.dataset)
        return config.dataset, data_root_of(manifest, config.data_root), False
    table = Path(config.dataset)
    path = usual_manifest(table, config.data_root)
    if path.exists():
        data_root = root_of_table(load_manifest(path), table, config.data_root)
        if data_root is None:
            raise ConfigError(
                f"{path}: expected the manifest of {table}, got one with different labels; create "
                f"a new one with `orn manifest new {shlex.quote(str(table))} --name NAME` and pass "
                "it instead"
            )
        return str(path), data_root, False
    new = NewConfig(table=table, data_root=config.data_root, intervals=config.intervals)
    has_split = "split" in map(str.casefold, column_names(table, "a table of labels"))
    if config.folds or not has_split:  # a table with a split of its own cannot have folds
        new = replace(new, shares=None if config.folds else _USUAL_SPLIT, folds=config.folds)
    if dry_run:
        options = {"split": new.shares, "folds": new.folds}
        command = command_line("orn", "manifest", "new", table, **options, data=new.data_root)
        command += " --intervals" if new.intervals else ""
        raise ConfigError(
            f"--dry-run: expected a table with a manifest, got none at {path}; create it with "
            f"`{command}`, then run this command again"
        )
    write_manifest(new, reporter)
    return str(path), data_root_of(load_manifest(path), None), True


def _check_kind(manifest: Manifest, config: PipelineConfig) -> None:
    """Raise ConfigError if intervals are requested of a manifest of clips."""
    if config.intervals and manifest.kind != "intervals":
        remedy = "create it again with `orn manifest new TABLE.csv --intervals --fresh`"
        if manifest.name == "epic":
            remedy = "use the data set epic-intervals"
        raise ConfigError(
            f"{manifest.name}: expected a manifest of kind intervals for --intervals, got "
            f"{manifest.kind}; omit --intervals, or {remedy}"
        )


def _folds(manifest: Manifest, config: PipelineConfig) -> int | None:
    """Return the number of folds of a manifest, which must be the requested one, if any."""
    labels = manifest.labels
    folds = labels.folds if isinstance(labels, TableLabels) else None
    if config.folds not in (None, folds):
        root = data_root_of(manifest, config.data_root) / manifest.root
        table = root / getattr(labels, "table", "TABLE.csv")
        asks = {"folds": config.folds, "data": config.data_root}
        command = command_line("orn", "manifest", "new", table, "--fresh", **asks)
        raise ConfigError(
            f"{manifest.file}: expected --folds {config.folds}, got {folds or 'none'}; create the "
            f"splits again with `{command}`, then run this command again"
        )
    return folds
