"""Where a training starts: ImageNet weights, fetched or from a file, inflated into any system."""

import hashlib
import logging
from pathlib import Path

from accelerate import Accelerator
from torch import nn

from shared.errors import CheckpointError, ConfigError
from stage2_train.model.image_weights import (
    fetch_imagenet_weights,
    image_network,
    inflate,
    read_weights,
)
from stage2_train.runs.checkpoint import LAST_NAME
from stage2_train.runs.run_config import load_run_config
from stage2_train.runs.run_folder import CONFIG_NAME
from stage2_train.training.recipe import Recipe

__all__ = ["set_first_weights", "weights_digest"]

logger = logging.getLogger(__name__)

IMAGENET_NAME = "torchvision IMAGENET1K_V1"
_OF_FILE = "sha256:"


def weights_digest(recipe: Recipe, file: Path | None, run: Path) -> str | None:
    """What the run records of its first weights; a run that exists keeps what it has recorded.

    Raises:
        ConfigError: if a file is given for a network that starts from no weights, or none is given
            although the run still has to start from one.
        CheckpointError: if there is no such file.
    """
    recorded = load_run_config(run).weights_digest if (run / CONFIG_NAME).is_file() else None
    if file is None and not (run / LAST_NAME).is_file() and _is_of_file(recorded):
        raise ConfigError(
            f"{run}: holds a run that starts from weights of a file ({recorded}) and has no "
            "checkpoint yet; give --weights again, or another --run"
        )
    if recipe.initial_weights == "random":
        return None
    if image_network(recipe.model) is None:
        if file is not None:
            raise ConfigError(
                f"first weights {file}: {_kind(recipe)} has no 2D network to start from; "
                "leave --weights out"
            )
        return None
    if file is not None:
        return _digest(file)
    return recorded if (run / CONFIG_NAME).is_file() else IMAGENET_NAME


def _digest(file: Path) -> str:
    try:
        with file.open("rb") as opened:
            return f"{_OF_FILE}{hashlib.file_digest(opened, 'sha256').hexdigest()}"
    except OSError as err:
        raise CheckpointError(
            f"first weights {file}: cannot be read ({err.strerror}); give the .pth file of a "
            "torchvision network"
        ) from err


def _is_of_file(digest: str | None) -> bool:
    return digest is not None and digest.startswith(_OF_FILE)


def set_first_weights(
    network: nn.Module, recipe: Recipe, file: Path | None, *, accelerator: Accelerator
) -> None:
    """Inflates ImageNet weights into a network that has its random ones.

    Args:
        network: changed in place.
        recipe: says which network it is.
        file: the 2D network's weights; None fetches torchvision's.
        accelerator: lets one process download for all.

    Raises:
        CheckpointError: if the weights cannot be had, or do not fit.
    """
    name = image_network(recipe.model)
    if name is None:
        logger.warning("%s starts from random weights: there are none for it", _kind(recipe))
        return
    source = IMAGENET_NAME if file is None else str(file)
    if file is not None:
        weights = read_weights(file)
    else:
        with accelerator.main_process_first():  # which downloads them for all
            weights = fetch_imagenet_weights(name)
    inflate(network, weights, name=source)


def _kind(recipe: Recipe) -> str:
    if recipe.model.architecture == "c3d":
        return "C3D"
    return "an object head whose objects have no appearance"
