"""The plan of `orn run`: data set, folders and trainings, from its options and the manifest, which
is created for a table that has none."""

import logging
import shlex
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from orn.data_manifests.draw_split import SplitRequest
from orn.data_manifests.load import data_root_of, files_of, load_dataset, load_manifest
from orn.data_manifests.manifest import Manifest, TableLabels
from orn.data_manifests.new_manifest import (
    NewConfig,
    NewManifest,
    plan_manifest,
    root_of_table,
    usual_manifest,
    write_manifest,
)
from orn.data_manifests.records import ALL, Dataset, Split, fold_names
from orn.data_manifests.text_files import column_names
from orn.data_manifests.update import ManifestUpdate, plan_update, updated_listing
from orn.shared.devices import choose_device
from orn.shared.errors import ConfigError
from orn.shared.jobs.outputs import (
    EarlierResults,
    begin_output_folder,
    check_output_folder,
    default_folder,
)
from orn.shared.jobs.progress import TERMINAL
from orn.shared.shards.shard_format import SHARD_FILES
from orn.stage1_detect.detect import DetectConfig
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
from orn.stage2_train.settings.model_config import TIMM, TORCHVISION
from orn.stage2_train.settings.recipe import (
    SMALL,
    Recipe,
    default_recipe,
    load_recipe,
    recipe_of_dataset,
)
from orn.stage2_train.settings.resources import WITH_WORKERS
from orn.stage2_train.training.training_inputs import TrainConfig, check_resumable
from orn.steps.pipeline_config import PipelineConfig

logger = logging.getLogger(__name__)

_USUAL_SPLIT = "80/10/10"


@dataclass(frozen=True, slots=True, kw_only=True)
class Pipeline:
    """The requests of a pipeline's commands."""

    objects: DetectConfig | ImportConfig
    clips: ClipsConfig
    train: TrainConfig
    """The only training, or the one on all videos after those of folds."""
    split: Split = "validation"
    """Split to evaluate."""
    folds: int | None = None
    """Number of folds of a cross-validation; None for a single split."""
    no_final: bool = False
    """Whether to omit the last training of a cross-validation, on all videos."""
    joins_by_time: bool = True
    """Whether frames and objects are joined by time."""
    new_run: str | None = None
    """How the training data differ from those of an earlier run, which is kept; None without one,
    or once the run has begun."""

    @property
    def data_root(self) -> Path:
        """Data root."""
        assert self.objects.data_root is not None
        return self.objects.data_root

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
        names = fold_names(self.folds)
        of_folds = {name: self._of_fold(name, self.run / name) for name in names}
        return of_folds if self.no_final else {**of_folds, ALL: self._of_fold(ALL, self.run)}

    def _of_fold(self, name: str, run: Path) -> TrainConfig:
        start = self.train.start
        if name != ALL and isinstance(start, Path):
            start = start / name  # which was not trained on the videos that the fold tests
        return replace(self.train, manifest=str(self.run / f"{name}.toml"), run=run, start=start)

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

    def earlier(self, dataset_name: str) -> tuple[EarlierResults, ...]:
        """Return what `--fresh` removes: shards, clip store and run; empty without it.

        Raises:
            ConfigError: if a folder must not be emptied, or the run folder has other files.
        """
        if not self.objects.fresh:
            check_output_folder(self.run, marker=RUN_MARKER)
            return ()
        reads, clips = tuple(self.reads()), self.clips.out or default_folder("clips", dataset_name)
        earlier = (
            SHARD_FILES.earlier(self.shards_of(dataset_name), reads=reads),
            CLIP_FILES.earlier(clips, reads=reads),
            earlier_run(self.run, reads=reads),
        )
        return tuple(results for results in earlier if results.files)

    def shards_of(self, dataset_name: str) -> Path:
        """Return the folder of shards, which by default depends on the data set."""
        return self.objects.out or default_folder("shards", dataset_name)

    def saved_settings(self, dataset_name: str) -> Mapping[str, Any] | None:
        """Return the settings of a detection that has begun and is not replaced; None without."""
        saved = None if self.objects.fresh else SHARD_FILES.saved_plan(self.shards_of(dataset_name))
        return None if saved is None else saved.settings


def open_pipeline(request: PipelineConfig, *, dry_run: bool = False) -> tuple[Pipeline, Dataset]:
    """Return the pipeline for a request, and its data set; create the manifest for a table of
    labels, unless it is a dry run.

    Raises:
        PipelineError: if the data set cannot be used or lacks segments for training or evaluation.
    """
    if request.objects is not None:
        for name in ("config", "checkpoint", "rate"):
            if getattr(request, name) is not None:
                raise ConfigError(
                    f"--{name}: applies to detection, not to --objects; omit it, or run `orn "
                    "import-objects` with its options, then `orn train`"
                )
    name, data_root, planned = _manifest_of(request, dry_run=dry_run)
    manifest = planned.manifest if planned else load_manifest(name)
    _check_kind(manifest, request)
    is_known = request.is_table and not planned
    update = plan_update(name, data_root) if is_known else None
    dataset = planned.dataset if planned else _read_dataset(manifest, data_root, update)
    folds = _folds(manifest, request)
    splits = {segment.split for segment in dataset.segments}
    split: Split = "validation" if "validation" in splits else "test"
    for needed in ("train", split):
        if needed not in splits:
            raise ConfigError(
                f"{name}: expected segments in the train split and in the validation or test "
                f"split, got none to {'train on' if needed == 'train' else 'evaluate'}; create a "
                "split with `orn manifest new TABLE.csv --split 80/10/10 --fresh`"
            )
    recipe = request.recipe or default_recipe(dataset.name, num_segments=len(dataset.segments))
    if not request.recipe and recipe == "paper_resnet50" and choose_device("auto") == "cpu":
        recipe = SMALL
    overrides = (*_of_backbone(request.backbone), *request.overrides)
    settings = load_recipe(
        recipe,
        num_activities=len(dataset.classes),
        overrides=overrides,
        clip_frames=dataset.clip_frames,
    )
    if folds:
        overrides = (*overrides, *_of_folds(settings, overrides))
    data: dict[str, Any] = {"data_root": data_root, "fresh": request.fresh}
    objects: DetectConfig | ImportConfig
    if request.objects is not None:
        given: dict[str, Any] = {"form": request.form, "options": request.options}
        objects = ImportConfig(dataset=name, source=request.objects, **given, **data)
    else:
        data_and_detector = data | {"config": request.config, "checkpoint": request.checkpoint}
        objects = DetectConfig(dataset=name, rate=request.rate, **data_and_detector)
    pipeline = Pipeline(
        objects=objects,
        clips=clips_for(settings, manifest=name, **data),
        train=TrainConfig(
            manifest=name,
            recipe=recipe,
            overrides=overrides,
            seed=request.seed,
            run=request.run or _usual_run(dataset, recipe, request),
            start=request.start,
            resources=replace(WITH_WORKERS, data_root=data_root, partial=request.partial),
        ),
        split=split,
        folds=folds,
        no_final=request.no_final,
        joins_by_time=settings.model.variant != "authors",
    )
    if recipe == SMALL and isinstance(objects, DetectConfig):
        threshold = _score_threshold(pipeline, dataset, settings.data.score_threshold)
        pipeline = replace(pipeline, objects=replace(objects, score_threshold=threshold))
    if not (planned or request.fresh):
        columns = {
            fold: _read_dataset(_of_fold(manifest, fold), data_root, update) if fold else dataset
            for fold in pipeline.trainings
        }
        pipeline = _compared(pipeline, columns, is_given=request.run is not None)
    if update is not None:
        _apply(update, pipeline, dry_run=dry_run)
    return pipeline, dataset


def _apply(update: ManifestUpdate, pipeline: Pipeline, *, dry_run: bool) -> None:
    """Write an update after saying in one line what has changed, if anything has."""
    if update.files or (pipeline.new_run and update.removed_videos):
        does = ("would update: " if dry_run else "updating: ") if update.files else ""
        TERMINAL.line(f"{update.manifest}: {does}{'; '.join(update.lines())}")
    if not dry_run:
        update.write()


def _read_dataset(manifest: Manifest, data_root: Path, update: ManifestUpdate | None) -> Dataset:
    listing = None if update is None else updated_listing(update, manifest, data_root)
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
    detector = (pipeline.saved_settings(dataset.name) or {}).get("detector", {})
    for fold, training in pipeline.trainings.items():
        check_resumable(training, columns[fold], detector)
    return pipeline


def _usual_run(dataset: Dataset, recipe: str, request: PipelineConfig) -> Path:
    """Return the default run folder."""
    origin = None if request.start is None else f"from-{request.start.resolve().name}"
    parts = (dataset.name, Path(recipe).stem, origin, f"seed{request.seed}")
    return Path("runs") / "-".join(filter(None, parts))


def _of_backbone(backbone: str | None) -> tuple[str, ...]:
    """Return the settings for maps of a network, of frames of the size on which it was trained, or
    for another backbone."""
    if backbone is None or not backbone.startswith((TIMM, TORCHVISION)):
        return () if backbone is None else (f"model.backbone={backbone}",)
    from orn.stage2_train.model.backbones import published_size  # imports torch

    height, width = published_size(backbone)
    return f"model.backbone={backbone}", f"data.crop=[{height},{width}]"


def _of_folds(recipe: Recipe, overrides: tuple[str, ...]) -> tuple[str, ...]:
    """Return the settings for the folds of a cross-validation: if the recipe validates only at the
    end, so that validation chooses nothing, its segments are used for training."""
    chooses = recipe.validation.every_epochs < recipe.phases.epochs
    is_set = any(text.startswith("data.train_with_validation=") for text in overrides)
    return () if chooses or is_set else ("data.train_with_validation=true",)


def _manifest_of(request: PipelineConfig, *, dry_run: bool) -> tuple[str, Path, NewManifest | None]:
    """Return the manifest of a request, its data root and, in a dry run for a table without a
    manifest, the manifest that would be written; otherwise create it.

    Raises:
        ConfigError: if the default file is the manifest for a different table.
    """
    if not request.is_table:
        manifest = load_manifest(request.dataset)
        return request.dataset, data_root_of(manifest, request.data_root), None
    table = Path(request.dataset)
    path = usual_manifest(table, request.data_root)
    if path.exists():
        data_root = root_of_table(load_manifest(path), table, request.data_root)
        if data_root is None:
            raise ConfigError(
                f"{path}: expected the manifest of {table}, got one with different labels; create "
                f"a new one with `orn manifest new {shlex.quote(str(table))} --name NAME` and pass "
                "it instead"
            )
        return str(path), data_root, None
    has_split = "split" in map(str.casefold, column_names(table, "a table of labels"))
    given: dict[str, Any] = {}
    if request.folds or not has_split:  # a table with a split of its own cannot have folds
        given = {"folds": request.folds, "group": request.group}
        given["shares"] = None if request.folds else request.split or _USUAL_SPLIT
    given["intervals"] = request.intervals
    if dry_run:
        shares, intervals = given.pop("shares", None), given.pop("intervals")
        split = SplitRequest(text=shares or "", **given) if given else None
        planned = plan_manifest(
            table, data_root=request.data_root, split=split, intervals=intervals
        )
        for warning in planned.summary["warnings"]:
            logger.warning("%s: %s", planned.dataset.name, warning)
        return str(path), Path(planned.summary["data_root"]), planned
    given |= {"table": table, "data_root": request.data_root}
    new = NewConfig(**given)
    TERMINAL.line(new.typed())
    write_manifest(new, TERMINAL)
    return str(path), data_root_of(load_manifest(path), None), None


def _score_threshold(pipeline: Pipeline, dataset: Dataset, usual: float) -> float:
    """Return the score threshold for detection: the usual one of the recipe `small`, which uses
    weak objects that `orn detect` drops by default. Detection that has begun keeps its threshold.
    """
    saved = pipeline.saved_settings(dataset.name) or {}
    began: float = saved.get("detector", {}).get("thresholds", {}).get("score", usual)
    return began


def _check_kind(manifest: Manifest, request: PipelineConfig) -> None:
    """Raise ConfigError if intervals are requested of a manifest of clips."""
    if request.intervals and manifest.kind != "intervals":
        remedy = "create it again with `orn manifest new TABLE.csv --intervals --fresh`"
        if manifest.name == "epic":
            remedy = "use the data set epic-intervals"
        raise ConfigError(
            f"{manifest.name}: expected a manifest of kind intervals for --intervals, got "
            f"{manifest.kind}; omit --intervals, or {remedy}"
        )


def _folds(manifest: Manifest, request: PipelineConfig) -> int | None:
    """Return the number of folds of a manifest, which must be the requested one, if any."""
    labels = manifest.labels
    for name, asked in (("folds", request.folds), ("group", request.group)):
        got = getattr(labels, name, None)
        if asked not in (None, got):
            root = data_root_of(manifest, request.data_root) / manifest.root
            given: dict[str, Any] = {
                "table": root / getattr(labels, "table", "TABLE.csv"),
                "folds": request.folds,
            }
            given |= {"group": request.group, "data_root": request.data_root, "fresh": True}
            raise ConfigError(
                f"{manifest.file}: expected --{name} {asked}, got {got or 'none'}; create the "
                f"splits again with `{NewConfig(**given).typed()}`, then run this command again"
            )
    return labels.folds if isinstance(labels, TableLabels) else None
