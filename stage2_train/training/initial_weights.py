"""Where the initial weights of a run come from: a previous run (`orn train --from`), a file or
published weights of a 2D network, which are inflated, or random numbers.

An existing run keeps the weights that it recorded.
"""

import logging
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Literal

from torch import Tensor, nn

from orn.shared.config.toml_files import to_dict
from orn.shared.data_files import file_digest
from orn.shared.download import cached_path, fetch
from orn.shared.errors import CheckpointError, ConfigError
from orn.shared.jobs.outputs import differences
from orn.shared.text import counted
from orn.shared.torch_files import mismatch
from orn.stage2_train.model.backbones import load_backbone
from orn.stage2_train.model.build import classifier_names, planned_network
from orn.stage2_train.model.image_backbone import read_backbone_weights
from orn.stage2_train.model.image_weights import inflate
from orn.stage2_train.model.network import ObjectVideoNetwork
from orn.stage2_train.runs.checkpoint import load_best
from orn.stage2_train.runs.run_config import RunConfig, StartedFrom, read_config
from orn.stage2_train.runs.run_folder import BEST_NAME, LAST_NAME
from orn.stage2_train.settings.model_config import NetworkConfig
from orn.stage2_train.settings.recipe import Recipe

logger = logging.getLogger(__name__)

IMAGENET_NAME = "torchvision IMAGENET1K_V1"
ImageNetwork = Literal["resnet18", "resnet50", "googlenet"]
_HOST = "https://download.pytorch.org/models"
IMAGENET_URLS: dict[ImageNetwork, str] = {
    "resnet18": f"{_HOST}/resnet18-f37072fd.pth",
    "resnet50": f"{_HOST}/resnet50-0676ba61.pth",
    "googlenet": f"{_HOST}/googlenet-1378be20.pth",
}
"""URLs of torchvision's weights, listed here because importing torchvision takes over a second."""


def image_network(config: NetworkConfig) -> ImageNetwork | None:
    """Return the 2D network whose weights initialize a network; None for C3D and for an object head
    without appearance."""
    if config.architecture == "i3d":
        return "googlenet"
    if config.architecture == "c3d" or not config.reads_frames or config.has_image_network:
        return None
    return "resnet18" if config.backbone == "resnet18" else "resnet50"


def fetch_imagenet_weights(name: ImageNetwork) -> Path:
    """Return the file of torchvision's ImageNet weights, downloaded if it is not in the cache.

    Raises:
        CheckpointError: if the download fails; reports the file and its URL.
    """
    return fetch(
        IMAGENET_URLS[name],
        what=f"ImageNet weights of {name}",
        remedy="pass the file with --weights FILE, or start from random weights with "
        "--set initial_weights=random (with make: ARGS=...)",
        error=CheckpointError,
    )


def imagenet_to_fetch(name: ImageNetwork | None) -> str | None:
    """Return the URL from which `fetch_imagenet_weights` would download; None if the weights are in
    the cache or not needed."""
    if name is None or cached_path(IMAGENET_URLS[name]).exists():
        return None
    return IMAGENET_URLS[name]


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class InitialWeights:
    """Where the initial weights of a run come from."""

    digest: str | None = None
    """Digest or name of the weights, for the configuration; None for random ones."""
    started_from: StartedFrom | None = None
    """The training run that they come from, if any."""
    previous: RunConfig | None = None
    """Configuration of this run, if its weights are to be loaded."""
    published: ImageNetwork | None = None
    """The 2D network whose published weights have yet to be loaded."""
    load: Callable[[nn.Module], None] = lambda network: None
    """Load the weights into a network with random weights.

    Raises:
        CheckpointError: if the weights are not available or do not match.
    """


def _load_trained(network: nn.Module, weights: Mapping[str, Tensor], origin: StartedFrom) -> None:
    network.load_state_dict(dict(weights), strict=False)
    logger.info(
        "initial weights from %s (step %d, %s): %s loaded; random: %s",
        *(origin.run, origin.step, origin.dataset),
        *(counted(origin.num_loaded, "tensor"), ", ".join(origin.random)),
    )


def _load_backbone(network: nn.Module, model: NetworkConfig, file: Path | None) -> None:
    """Load the weights of an image network or a ResNet, published ones or those in a file."""
    if model.reads_image_maps:
        assert isinstance(network, ObjectVideoNetwork) and network.backbone is not None
        backbone = load_backbone(model.backbone, file=file)
        network.backbone.load_state_dict(backbone.state_dict())
        return
    name = image_network(model)
    assert name is not None
    inflate(
        network,
        read_backbone_weights(file or fetch_imagenet_weights(name)),
        name=str(file or IMAGENET_NAME),
        keeps_object_conv5=model.variant == "authors",
    )


def _warn_of_random(network: nn.Module) -> None:
    logger.warning("a network without a 2D counterpart; initial weights are random")


def read_trained(start: Path, model: NetworkConfig) -> InitialWeights:
    """Return the best weights of a run or a model folder for a network with this configuration.

    Raises:
        ConfigError: if the weights are from a different network.
        CheckpointError: if there are no weights yet, or they are corrupt.
    """
    config, best = read_config(start), load_best(start)
    if best is None:
        raise CheckpointError(
            f"{start}: no {BEST_NAME} yet; pass a run with at least one completed validation to "
            "--from"
        )
    theirs = config.recipe.model
    model = replace(model, num_detector_classes=theirs.num_detector_classes)
    new, left = classifier_names(model), classifier_names(theirs)
    weights = {name: tensor for name, tensor in best.model.items() if name not in left}
    planned = planned_network(model).state_dict()
    expected = {name: tensor for name, tensor in planned.items() if name not in new}
    if problem := mismatch(weights, expected):
        ours, others = (to_dict(own) | {"num_activities": 0} for own in (model, theirs))
        differ = "; ".join(differences(others, ours, words=("there", "here"))) or problem
        raise ConfigError(
            f"--from {start}: the network architecture differs: model: {differ}; train with the "
            "recipe, system and settings of that run"
        )
    origin = StartedFrom(
        run=start.resolve().name,
        dataset=config.dataset.name,
        step=best.step,
        num_loaded=len(weights),
        random=tuple(sorted(new)),
    )
    return InitialWeights(
        digest=file_digest(start / BEST_NAME, error=CheckpointError),
        started_from=origin,
        previous=config,
        load=partial(_load_trained, weights=weights, origin=origin),
    )


def find_initial_weights(
    recipe: Recipe,
    run: Path,
    recorded: RunConfig | None,
    *,
    file: Path | None,
    start: Path | None = None,
) -> InitialWeights:
    """Return where the initial weights of a run come from; a run with a checkpoint keeps its own.

    Args:
        recipe: recipe of the run.
        run: the run folder.
        recorded: configuration in the run folder; None for a new run.
        file: weights of the 2D network; None for the published ones.
        start: a previous training run, if any.

    Raises:
        ConfigError: if a file is given for a network without a 2D counterpart.
        CheckpointError: if the file does not exist.
    """
    model = recipe.model
    if start is not None:
        return read_trained(start, model)
    if recorded is not None and file is None and (run / LAST_NAME).is_file():
        return InitialWeights(digest=recorded.weights_digest, started_from=recorded.started_from)
    if recipe.initial_weights == "random":
        return InitialWeights()
    published = image_network(model)
    if published is None and not model.reads_image_maps:
        if file is not None:
            raise ConfigError(
                f"--weights {file}: requires a network with a 2D counterpart, such as a ResNet; "
                "omit --weights"
            )
        return InitialWeights(load=_warn_of_random)
    load = partial(_load_backbone, model=model, file=file)
    if file is not None:
        return InitialWeights(digest=file_digest(file, error=CheckpointError), load=load)
    digest = model.backbone if model.reads_image_maps else IMAGENET_NAME
    return InitialWeights(digest=digest, published=published, load=load)
