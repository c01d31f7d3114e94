"""Execute the runs of an ablation in parallel, as commands that a user could type.

Interrupted runs resume; runs that are finished and evaluated are skipped.
"""

import logging
from collections.abc import Mapping, Sequence
from contextlib import suppress
from pathlib import Path

from orn.shared.errors import ConfigError, PipelineError, TrainingError
from orn.shared.jobs.child_processes import LOG_NAME, Job, run_lists
from orn.shared.jobs.outputs import begin_output_folder
from orn.shared.jobs.progress import progress
from orn.shared.text import counted
from orn.stage2_train.compare.ablate_request import AblationRequest
from orn.stage2_train.compare.ablation_plan import AblationRun
from orn.stage2_train.model.image_weights import (
    ImageNetwork,
    fetch_imagenet_weights,
    image_network,
)
from orn.stage2_train.runs.run_config import config_to_resume
from orn.stage2_train.runs.run_folder import BEST_NAME, RUN_MARKER, read_status
from orn.stage2_train.settings.recipe import Recipe, load_recipe
from orn.stage2_train.settings.resources import wait_passively
from orn.stage2_train.training.initial_weights import find_initial_weights

logger = logging.getLogger(__name__)


def is_measured(folder: Path, split: str) -> bool:
    """Return whether a run is finished and evaluated on a split."""
    status = read_status(folder)
    is_stopped = status is not None and not status.finished  # may have been evaluated by hand
    return not is_stopped and (folder / f"eval-{split}.json").is_file()


def jobs_of(run: AblationRun, request: AblationRequest, *, split: str) -> list[Job]:
    """Return the commands that train a run and evaluate it on validation, then on `split`."""
    resources, folder = request.resources, run.folder
    options = {
        "--data": resources.data_root,
        "--device": resources.device,
        "--workers": resources.workers,
        "--threads": resources.num_threads(jobs=request.jobs),
    }
    flags = {"--partial": resources.partial, "--no-clip-store": resources.no_clip_store}
    shared = _words(options) + [flag for flag, given in flags.items() if given]
    own = {
        "--system": run.system,
        "--seed": run.seed,
        "--run": folder,
        "--recipe": request.recipe,
        "--shards": resources.shards,
        "--clips": resources.clips,
        "--weights": request.weights if _holds_resnet(recipe_of(run, request)) else None,
    }
    overrides = [word for override in run.settings for word in ("--set", override)]
    manifest = str(run.out / f"{run.fold}.toml") if run.fold else request.manifest
    training = ("train", manifest, *_words(own), *shared, *overrides)
    return [
        Job(name="train", argv=training, output=folder / BEST_NAME),
        *(
            Job(
                name=f"eval {each}",
                argv=("eval", str(folder), "--split", each, *shared),
                output=folder / f"eval-{each}.json",
            )
            for each in ((split,) if run.fold else dict.fromkeys(("validation", split)))
        ),
    ]


def _words(options: Mapping[str, object]) -> list[str]:
    """Return the options that have a value as command-line arguments."""
    given = {name: str(value) for name, value in options.items() if value is not None}
    return [word for option in given.items() for word in option]


def first_command(run: AblationRun, request: AblationRequest) -> str:
    """Return the command that trains a run without evaluating it."""
    return jobs_of(run, request, split="validation")[0].typed


def weights_needed(
    runs: Sequence[AblationRun], request: AblationRequest
) -> tuple[ImageNetwork, ...]:
    """Return the 2D networks whose published weights initialize the runs."""
    found = set()
    for run in runs:
        recipe = recipe_of(run, request)
        file = request.weights if _holds_resnet(recipe) else None
        with suppress(ConfigError):  # a damaged run fails later and does not stop the others
            recorded = config_to_resume(run.folder)
            found.add(find_initial_weights(recipe, run.folder, recorded, file=file).published)
    return tuple(sorted(name for name in found if name is not None))


def _holds_resnet(recipe: Recipe) -> bool:
    """Return whether a network can be initialized with ResNet weights.

    C3D, I3D and an object head without visual features cannot.
    """
    return image_network(recipe.model) in ("resnet18", "resnet50")


def recipe_of(run: AblationRun, request: AblationRequest) -> Recipe:
    """Return the recipe of a run, for any number of activities."""
    return load_recipe(
        str(request.recipe),
        num_activities=2,
        overrides=run.settings,
        system=run.system,
        clip_frames=2,
    )


def carry_out(runs: Sequence[AblationRun], request: AblationRequest, *, split: str) -> None:
    """Train runs and evaluate them on a split, `request.jobs` at a time.

    Ctrl-C and SIGTERM also stop training; the next call resumes from the checkpoints.

    Raises:
        CheckpointError: if initial weights cannot be downloaded.
        TrainingError: if runs failed, after the others have finished; lists their logs.
    """
    left = {run.folder: run for run in runs if not is_measured(run.folder, split)}
    for name in weights_needed(list(left.values()), request):
        fetch_imagenet_weights(name)
    wait_passively()  # inherited by the processes
    failures: list[str] = []

    def ended(folder: Path, error: PipelineError | None) -> None:
        title = left[folder].title
        bar.advance(note=title)
        if error is not None:
            failures.append(f"{title}: {error}, see {folder / LOG_NAME}")
            logger.warning("%s failed; continuing with the other runs", title)

    with progress(f"ablate, {split}", total=len(left), unit="runs") as bar:
        lists = {folder: jobs_of(run, request, split=split) for folder, run in left.items()}
        for folder in lists:
            begin_output_folder(folder, RUN_MARKER)
        run_lists(lists, at_once=request.jobs, ended=ended)
    if failures:
        raise TrainingError(
            f"{len(failures)} of {counted(len(left), 'run')} failed: {'; '.join(failures)}; run "
            "the same command again to retry them"
        )
