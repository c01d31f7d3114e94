"""A model folder: a trained network that lives without its run and its data.

FOLDER/config.json         what the network is, how its clips are made, what it was trained on
FOLDER/model.safetensors   its weights

Both are read as files from strangers: nothing in them is run, and memory is taken for the network
only once it is known that the weights beside it are the ones that it needs.
"""

import hashlib
import json
from pathlib import Path
from typing import Annotated, Literal, Self

import safetensors.torch
import torch
from pydantic import Field, model_validator
from pydantic.dataclasses import dataclass
from safetensors import SafetensorError, safe_open
from torch import nn

from orn.shared.config.bounded import open_file, read_json, require_utf8, shown
from orn.shared.config.fields import STRICT, FileName, Positive
from orn.shared.config.files import config_from_dict, to_dict
from orn.shared.errors import CheckpointError, ClipStoreError, ConfigError
from orn.shared.jobs.atomic_file import replacing, write_text
from orn.shared.shards.schema import DetectorEntry
from orn.shared.tensors import misfit
from orn.shared.text_table import counted
from orn.stage2_train.frames.schema import StoreSettings
from orn.stage2_train.model.build import build_network
from orn.stage2_train.model.config import Heads, NetworkConfig
from orn.stage2_train.model.inputs import FrameNormaliser
from orn.stage2_train.recipe import Recipe
from orn.stage2_train.runs.run_config import DatasetRecord

CONFIG_NAME = "config.json"
WEIGHTS_NAME = "model.safetensors"
_FORMAT: Literal["object-relation-model"] = "object-relation-model"
_MOST_BYTES = 4 << 20
"""Of the configuration; a hundred thousand names of classes take about three."""
_HEADER_BYTES = 1 << 20
"""More than names and shapes of a network's weights take in their file."""

_Side = Annotated[int, Field(ge=1, le=8192)]
_Colour = tuple[float, float, float]


@dataclass(frozen=True, slots=True, kw_only=True, config=STRICT)
class ClipRecord:
    """How frames became clips."""

    clip_frames: Annotated[int, Field(ge=1, le=10_000)]
    """T, frames of a clip."""
    height: _Side | None = None
    """Rows that frames are rescaled to before the crop; none where `short_side` says it."""
    width: _Side | None = None
    """Columns of them."""
    short_side: _Side | None = None
    """Length of their shorter side, where they keep the shape of the video."""
    rate: Positive | None = None
    """Frames a second that clips are made of; none for every frame."""
    jpeg_quality: Annotated[int, Field(ge=1, le=95)] | None = None
    """That frames were stored with; none where they came straight from the videos."""
    window_seconds: Positive | None = None
    """How long a segment was, the median; none where that is not known."""
    longest_seconds: Positive | None = None
    """How long the longest was."""

    @model_validator(mode="after")
    def _has_one_size(self) -> Self:
        try:
            self.stored()
        except ClipStoreError as err:
            raise ValueError(str(err)) from err
        return self

    def stored(self) -> StoreSettings:
        """What is done to each frame; `rate` says which are taken."""
        quality = {} if self.jpeg_quality is None else {"jpeg_quality": self.jpeg_quality}
        return StoreSettings(
            height=self.height, width=self.width, short_side=self.short_side, **quality
        )


@dataclass(frozen=True, slots=True, kw_only=True, config=STRICT)
class Normalisation:
    """What is done to the colours of frames, as shares of 255."""

    mean: _Colour
    """Of red, green and blue, subtracted."""
    std: _Colour
    """By which it is divided then."""


@dataclass(frozen=True, slots=True, kw_only=True, config=STRICT)
class ModelConfig:
    """Everything that a trained network needs beside its weights."""

    format: Literal["object-relation-model"] = _FORMAT
    format_version: Literal[1] = 1
    recipe_name: str
    """What the recipe was called."""
    system: str | None = None
    """Which system of the paper's tables it is; none for what the recipe says."""
    recipe: Recipe
    """The recipe, every setting resolved; `recipe.model` is the architecture."""
    heads: Heads
    """What of the network was trained."""
    step: Annotated[int, Field(ge=0, lt=2**63)]
    """When the weights were kept."""
    dataset: DatasetRecord
    """What it was trained on; its classes are those of the logits, in order."""
    manifest: FileName
    """Name of the manifest, or of its file, with which it was trained."""
    clips: ClipRecord
    """How clips are made."""
    normalisation: Normalisation | None = None
    """Of frames; none where the network looks at none."""
    detector: DetectorEntry | None = None
    """What found the objects; none where the shards were not there any more."""
    detector_file: Annotated[str, Field(pattern=r"^[\w.-]+$")] | None = None
    """Name of the detector's weights in the folder; none where they were not taken along."""
    weights_digest: str | None = None
    """`sha256:...` of the file of weights; none for a model that is no folder."""


def is_model_folder(path: Path) -> bool:
    """Whether a path is the folder of a model and not of a run."""
    return (path / CONFIG_NAME).is_file() and not (path / "config.toml").exists()


def read_model_config(folder: Path) -> ModelConfig:
    """What a model folder says of its network.

    Raises:
        ConfigError: if there is no such file, it is large, or it holds something else.
    """
    path = folder / CONFIG_NAME
    raw = read_json(path, most_bytes=_MOST_BYTES)
    found = raw.get("format") if isinstance(raw, dict) else None
    if found != _FORMAT:
        raise ConfigError(
            f"{shown(path)}: wanted format {_FORMAT!r}, found {shown(repr(found))}; "
            "`orn export` writes such folders"
        )
    config = config_from_dict(raw, ModelConfig, source=shown(path))
    if len(config.dataset.classes) != config.recipe.model.num_activities:
        raise ConfigError(
            f"{shown(path)}: wanted the names of "
            f"{counted(config.recipe.model.num_activities, 'class', 'classes')}, one a logit, "
            f"found {len(config.dataset.classes)}"
        )
    return config


def load_network(folder: Path, config: ModelConfig) -> nn.Module:
    """The network of a model folder on the CPU, in evaluation mode.

    Raises:
        CheckpointError: if the weights are absent, damaged, no safetensors, or of another network.
        ConfigError: if the network, or what it does to colours, cannot be that of the weights.
    """
    path = folder / WEIGHTS_NAME
    require_utf8(path, error=CheckpointError)
    wanted_bytes = _weight_bytes(config.recipe.model)
    with open_file(path, error=CheckpointError) as file:
        size = file.seek(0, 2)
        if not wanted_bytes <= size <= wanted_bytes + _HEADER_BYTES:
            raise CheckpointError(
                f"{shown(path)}: wanted the weights of the network in {CONFIG_NAME}, about "
                f"{wanted_bytes:,} bytes, found a file of {size:,}"
            )
        file.seek(0)
        digest = f"sha256:{hashlib.file_digest(file, 'sha256').hexdigest()}"
    try:
        with safe_open(path, "pt", device="cpu") as weights:
            tensors = {name: weights.get_tensor(name) for name in weights.keys()}  # noqa: SIM118
    except (SafetensorError, OSError, ValueError, RuntimeError, TypeError) as err:
        raise CheckpointError(
            f"{shown(path)}: wanted weights as safetensors, found a file of another kind, or a "
            "damaged one; export the run again"
        ) from err
    network = build_network(config.recipe.model)
    if problem := misfit(tensors, network.state_dict()):
        raise CheckpointError(
            f"{shown(path)}: does not fit the network in {CONFIG_NAME}: {problem}"
        )
    if config.weights_digest != digest:
        raise CheckpointError(
            f"{shown(path)}: wanted the file that {CONFIG_NAME} names, {config.weights_digest}, "
            f"found {digest}; it was changed or damaged after the export"
        )
    network.load_state_dict(tensors)
    if config.normalisation != normalisation_of(network):
        raise ConfigError(
            f"{shown(folder / CONFIG_NAME)}: normalisation: wanted "
            f"{normalisation_of(network)}, which this network has, found {config.normalisation}"
        )
    return network.eval()


def write_model_folder(folder: Path, config: ModelConfig, network: nn.Module) -> ModelConfig:
    """Writes weights, then the configuration that names them; each is whole or as it was before.

    Returns:
        The configuration as written.

    Raises:
        PipelineError: if the disk refuses.
    """
    tensors = {name: tensor.contiguous() for name, tensor in network.state_dict().items()}
    content = safetensors.torch.save(tensors, metadata={"format": "pt"})
    digest = f"sha256:{hashlib.sha256(content).hexdigest()}"
    with replacing(folder / WEIGHTS_NAME) as temporary:
        temporary.write_bytes(content)
    values = to_dict(config) | {"weights_digest": digest}
    text = json.dumps(values, indent=2, ensure_ascii=False, allow_nan=False) + "\n"
    write_text(folder / CONFIG_NAME, text)
    return config_from_dict(values, ModelConfig, source=str(folder / CONFIG_NAME))


def normalisation_of(network: nn.Module) -> Normalisation | None:
    """What a network does to the colours of frames; None where it looks at none."""
    for module in network.modules():
        if isinstance(module, FrameNormaliser):
            # Of float32 the digits that were meant.
            mean, std = (
                tuple(round(value, 6) for value in each.flatten().tolist())
                for each in (module.mean_311, module.std_311)
            )
            return Normalisation(mean=mean, std=std)
    return None


def _weight_bytes(config: NetworkConfig) -> int:
    """What the numbers of a network take; none are made."""
    with torch.device("meta"):
        network = build_network(config)
    return sum(each.numel() * each.element_size() for each in network.state_dict().values())
