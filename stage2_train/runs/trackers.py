"""Where metrics go beside metrics.jsonl: trackers of accelerate, TensorBoard always.

Others are off unless `--log-with` names them, and write into the run's folder unless their own
environment variables say otherwise, so that nothing leaves the machine unasked.
"""

import logging
import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from accelerate import Accelerator
from accelerate.tracking import GeneralTracker, TensorBoardTracker, get_available_trackers

from shared.config.files import leaves, to_dict
from shared.errors import ConfigError
from shared.nearest import nearest

logger = logging.getLogger(__name__)

TENSORBOARD_FOLDER = "tensorboard"
_LOCAL = {
    "mlflow": {"MLFLOW_TRACKING_URI": "sqlite:///{run}/mlflow.db"},
    "wandb": {"WANDB_MODE": "offline", "WANDB_DIR": "{run}"},
    "tensorboard": {},
}
"""Environment variables of each tracker that may be named, where they are not set."""


def check_trackers(names: Sequence[str]) -> None:
    """Raises ConfigError for a tracker that is none, or whose package is not installed."""
    installed = {str(each) for each in get_available_trackers()}
    for name in names:
        if name not in _LOCAL:
            raise ConfigError(
                f"--log-with {name}: wanted one of {', '.join(_LOCAL)}; did you mean "
                f"{nearest(name, _LOCAL)!r}?"
            )
        if name not in installed:
            raise ConfigError(
                f"--log-with {name}: wanted the package {name}, found none; `pip install "
                f"'.[{name}]'` in a checkout brings it"
            )


def start_trackers(
    accelerator: Accelerator,
    run: Path,
    names: Sequence[str | GeneralTracker],
    *,
    step: int,
    settings: Any,
) -> list[GeneralTracker]:
    """Starts TensorBoard in the run's folder and the trackers that are named; to be finished.

    Args:
        accelerator: of this process.
        run: folder of the run, whose name theirs is.
        names: as `check_trackers` takes them.
        step: last step that is done; TensorBoard takes back later ones.
        settings: of the run, for the others; a configuration dataclass.
    """
    place = run.absolute()
    others = [name for name in names if name != "tensorboard"]
    for name in others:
        for variable, value in _LOCAL.get(str(name), {}).items():
            os.environ.setdefault(variable, value.format(run=place))
    board = TensorBoardTracker(TENSORBOARD_FOLDER, str(run), purge_step=step + 1)
    accelerator.log_with, accelerator.trackers = [board, *others], []
    accelerator.init_trackers(place.name)
    for tracker in accelerator.trackers[1:]:
        tracker.store_init_configuration(
            {
                name: value if isinstance(value, bool | int | float | str) else str(value)
                for name, value in leaves(to_dict(settings)).items()
            }
        )
    return accelerator.trackers


def send(trackers: list[GeneralTracker], values: Mapping[str, float], *, step: int) -> None:
    """Gives numbers to each tracker; one that fails is left out from then on, with a warning."""
    for tracker in [*trackers]:
        try:
            tracker.log(values, step=step)
        except Exception as err:  # of any package; metrics.jsonl has the same
            logger.warning("%s takes no more metrics (%s)", tracker.name, err)
            trackers.remove(tracker)
