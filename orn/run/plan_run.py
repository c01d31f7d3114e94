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
    NewManifest,
    plan_manifest,
    root_of_table,
    usual_manifest,
)
from orn.data_manifests.records import ALL, Dataset, Split, fold_names
from orn.data_manifests.text_files import column_names
from orn.run.run_request import PipelineRequest
from orn.shared.devices import choose_device
from orn.shared.echo import echo
from orn.shared.errors import SOME_FAILED, ConfigError
from orn.shared.jobs.child_processes import STDERR, STEPS_NAME, option_words, run_orn
from orn.shared.jobs.outputs import (
    EarlierResults,
    begin_output_folder,
    check_output_folder,
    default_folder,
)
from orn.shared.shards.shard_format import SHARD_FILES
from orn.stage2_train.clip_store.clips_request import map_options
from orn.stage2_train.clip_store.frame_maps import FrozenNetwork
from orn.stage2_train.clip_store.store_format import CLIP_FILES
from orn.stage2_train.runs.run_folder import (
    BASELINE_MARKER,
    BASELINE_NAME,
    RUN_MARKER,
    earlier_run,
    result_paths,
)
from orn.stage2_train.settings.evaluation_names import FOLDS
from orn.stage2_train.settings.recipe import SMALL, Recipe, default_recipe, load_recipe

logger = logging.getLogger(__name__)

_RESOLVED = {
    *("dataset", "data_root", "split", "run", "folds", "group", "recipe"),
    *("backbone", "overrides"),
}
"""Options that a pipeline has with resolved values, or not at all."""
_USUAL_SPLIT = "80/10/10"


@dataclass(frozen=True, slots=True, kw_only=True)
class Training:
    """One training run of a pipeline."""

    manifest: str
    run: Path
    """Run folder."""
    name: str = ""
    """Ending of the names of its steps."""
    split: Split | None = None
    """Split to evaluate; None if all videos are used for training."""
    baseline: Path | None = None
    """Folder of the baseline on this split."""

    @property
    def results(self) -> tuple[Path, ...]:
        """Files with the results of the evaluation and of the baseline."""
        if self.split is None or self.baseline is None:
            return ()
        return (*result_paths(self.run, self.split), *result_paths(self.baseline, self.split))


@dataclass(frozen=True, slots=True, kw_only=True)
class Pipeline:
    """Settings of a pipeline; None means the default of a command."""

    manifest: str
    """Name or file of the manifest."""
    data_root: Path
    run: Path
    """Run folder."""
    shards: Path | None = None
    clips: Path | None = None
    config: str | None = None
    """Configuration of the detector."""
    checkpoint: Path | None = None
    """Weights of the detector."""
    batch_size: int | None = None
    """Frames per forward pass of the detector."""
    rate: float | None = None
    """Frames per second on which to detect objects."""
    score_threshold: float | None = None
    """Score below which detections are dropped."""
    objects: Path | None = None
    """File or folder of objects, in the format `form`, to import instead of detecting."""
    form: str | None = None
    recipe: str
    """Name or file of the recipe."""
    maps: tuple[str, ...] = ()
    """Options of `orn clips` that store feature maps; empty for a network that reads frames."""
    overrides: tuple[str, ...] = ()
    """Recipe settings to override."""
    seed: int = 0
    split: Split = "validation"
    """Split to evaluate."""
    fresh: bool = False
    """Whether to remove the existing shards, clip store and run first."""
    partial: bool = False
    """Whether to continue without videos that are missing or fail."""
    folds: int | None = None
    """Number of folds of a cross-validation; None for a single split."""
    no_final: bool = False
    """Whether to omit the last training of a cross-validation, on all videos."""

    @property
    def record(self) -> Path:
        """File that records the finished steps."""
        return self.run / STEPS_NAME

    @property
    def evaluation(self) -> Path:
        """File with the results of the evaluation."""
        return result_paths(self.run, FOLDS if self.folds else self.split)[0]

    @property
    def trainings(self) -> tuple["Training", ...]:
        """The training runs, in order."""
        if not self.folds:
            baseline = self.run / BASELINE_NAME
            only = Training(
                manifest=self.manifest, run=self.run, split=self.split, baseline=baseline
            )
            return (only,)
        folds = [
            Training(
                name=f"-{fold}",
                manifest=str(self.run / f"{fold}.toml"),
                run=self.run / fold,
                split="test",
                baseline=self.run / BASELINE_NAME / fold,
            )
            for fold in fold_names(self.folds)
        ]
        last = Training(name=f"-{ALL}", manifest=str(self.run / f"{ALL}.toml"), run=self.run)
        return (*folds, *(() if self.no_final else (last,)))

    @property
    def report(self) -> Path:
        """HTML report of the run."""
        return self.run / "report.html"

    @property
    def reported(self) -> tuple[Path, ...]:
        """Files that the report writes: with folds, also the results of all folds."""
        folders = (self.run, self.run / BASELINE_NAME) if self.folds else ()
        return (self.report, *(path for of in folders for path in result_paths(of, FOLDS)))

    @property
    def done(self) -> tuple[int, ...]:
        """Exit codes after which the pipeline continues."""
        return (0, SOME_FAILED) if self.partial else (0,)

    def begin(self) -> None:
        """Create the folders of the run and of its baseline, or check whose existing ones are."""
        begin_output_folder(self.run, RUN_MARKER)
        begin_output_folder(self.run / BASELINE_NAME, BASELINE_MARKER)

    def reads(self) -> Iterator[Path]:
        """Yield the files that the pipeline reads."""
        yield from filter(None, (self.objects, self.checkpoint))
        yield from (
            Path(name) for name in (self.config, self.recipe) if name and Path(name).is_file()
        )
        yield from files_of(self.manifest, self.data_root)

    def earlier(self, dataset_name: str) -> tuple[EarlierResults, ...]:
        """Return what `fresh` removes: shards, clip store and run; empty without `fresh`.

        Raises:
            ConfigError: if a folder must not be emptied, or the run folder has other files.
        """
        if not self.fresh:
            check_output_folder(self.run, marker=RUN_MARKER)
            return ()
        reads, clips = tuple(self.reads()), self.clips or default_folder("clips", dataset_name)
        earlier = (
            SHARD_FILES.earlier(self.shards_of(dataset_name), reads=reads),
            CLIP_FILES.earlier(clips, reads=reads),
            earlier_run(self.run, reads=reads),
        )
        return tuple(results for results in earlier if results.files)

    def shards_of(self, dataset_name: str) -> Path:
        """Return the folder of shards, which by default depends on the data set."""
        return self.shards or default_folder("shards", dataset_name)

    def saved_settings(self, dataset_name: str) -> Mapping[str, Any] | None:
        """Return the settings of a detection that has begun and is not replaced; None without."""
        saved = None if self.fresh else SHARD_FILES.saved_plan(self.shards_of(dataset_name))
        return None if saved is None else saved.settings


def open_pipeline(request: PipelineRequest, *, dry_run: bool = False) -> tuple[Pipeline, Dataset]:
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
    name, data_root, new = _manifest_of(request, dry_run=dry_run)
    manifest = new.manifest if new else load_manifest(name)
    dataset = new.dataset if new else load_dataset(manifest, data_root, needs_videos=True)
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
    pipeline = Pipeline(
        manifest=name,
        data_root=data_root,
        run=request.run or Path("runs") / f"{dataset.name}-{Path(recipe).stem}-seed{request.seed}",
        recipe=recipe,
        overrides=overrides,
        maps=map_options(settings),
        split=split,
        folds=folds,
        **request.model_dump(exclude=_RESOLVED),
    )
    threshold = settings.data.score_threshold
    score_threshold = _score_threshold(pipeline, dataset, threshold)
    overrides = (*pipeline.overrides, *_of_folds(pipeline, settings))
    return replace(pipeline, score_threshold=score_threshold, overrides=overrides), dataset


def _of_backbone(backbone: str | None) -> tuple[str, ...]:
    """Return the settings for maps of a network, of frames of the size on which it was trained."""
    if backbone is None:
        return ()
    height, width = FrozenNetwork(backbone=backbone).usual_size()
    return f"model.backbone={backbone}", f"data.crop=[{height},{width}]"


def _of_folds(pipeline: Pipeline, recipe: Recipe) -> tuple[str, ...]:
    """Return the settings for the folds of a cross-validation: if the recipe validates only at the
    end, so that validation chooses nothing, its segments are used for training."""
    chooses = recipe.validation.every_epochs < recipe.phases.epochs
    is_set = any(text.startswith("data.train_with_validation=") for text in pipeline.overrides)
    if pipeline.folds is None or chooses or is_set:
        return ()
    return ("data.train_with_validation=true",)


def _manifest_of(
    request: PipelineRequest, *, dry_run: bool
) -> tuple[str, Path, NewManifest | None]:
    """Return the manifest of a request, its data root and, in a dry run for a table without a
    manifest, the manifest that would be written; otherwise create it.

    Raises:
        ConfigError: if the default file is the manifest for a different table.
    """
    if not request.is_table:
        manifest = load_manifest(request.dataset)
        return request.dataset, data_root_of(manifest, request.data_root), None
    table = Path(request.dataset)
    path, _ = usual_manifest(table, request.data_root)
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
    split = None
    if request.folds or not has_split:  # a table with a split of its own cannot have folds
        split = SplitRequest(
            text=request.split or _USUAL_SPLIT, folds=request.folds, group=request.group
        )
    if dry_run:
        new = plan_manifest(table, data_root=request.data_root, split=split)
        for warning in new.report["warnings"]:
            logger.warning("%s: %s", new.dataset.name, warning)
        return str(path), Path(new.report["data_root"]), new
    words = () if split is None else split.words
    given = option_words({"--data": request.data_root})
    argv = ("manifest", "new", str(table), *words, *given)
    echo(shlex.join(["orn", *argv]), err=True)
    run_orn(argv, stdout=STDERR)
    return str(path), data_root_of(load_manifest(path), None), None


def _score_threshold(pipeline: Pipeline, dataset: Dataset, usual: float) -> float | None:
    """Return the score threshold for detection: the usual one of the recipe `small`, which uses
    weak objects that `orn detect` drops by default. Detection that has begun keeps its threshold.
    """
    if pipeline.objects is not None or pipeline.recipe != SMALL:
        return None
    saved = pipeline.saved_settings(dataset.name)
    began: float | None = (saved or {}).get("detector", {}).get("thresholds", {}).get("score")
    return usual if saved is None else began


def _folds(manifest: Manifest, request: PipelineRequest) -> int | None:
    """Return the number of folds of a manifest, which must be the requested one, if any."""
    labels = manifest.labels
    for name, asked in (("folds", request.folds), ("group", request.group)):
        got = getattr(labels, name, None)
        if asked not in (None, got):
            raise ConfigError(
                f"{manifest.source}: expected --{name} {asked}, got {got or 'none'}; create the "
                "splits again with `orn manifest new TABLE.csv --fresh` and these options"
            )
    return labels.folds if isinstance(labels, TableLabels) else None
