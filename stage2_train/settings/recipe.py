"""Recipes: all settings for a network and its training, read from a TOML file.

`recipes/` contains the recipes in the package. The number of activities comes from the data set and
the number of detector classes from the shards; a recipe must not set them. If a recipe does not set
the number of frames per clip, the data set's value is used.
"""

import dataclasses
import json
import tomllib
from collections.abc import Iterable, Mapping
from dataclasses import field
from pathlib import Path
from typing import Annotated, Any, Literal, TypeVar

from pydantic import Field, model_validator
from pydantic.dataclasses import dataclass

from orn.data_manifests.records import FEW_SEGMENTS, Dataset
from orn.shared.config.fields import STRICT, Count, Maybe, Seed
from orn.shared.config.toml_files import config_from_dict, read_toml, to_dict
from orn.shared.data_files import not_a_file
from orn.shared.devices import choose_precision, is_slow
from orn.shared.errors import ConfigError
from orn.shared.estimates import estimated_seconds
from orn.shared.text import nearest, path_text
from orn.stage2_train.settings.model_config import RESNET_STRIDE, NetworkConfig
from orn.stage2_train.settings.systems import find_system

T = TypeVar("T")
SMALL = "small"
"""Recipe for few segments, or for training without a GPU."""
RECIPES = Path(__file__).parent.parent / "recipes"

_GIVEN = {
    "num_activities": "data set",
    "num_detector_classes": "shards",
    "num_frames": "clips (data.clip_frames)",
}
"""Network sizes that are not settings, and what determines them."""
UnsureLabels = Literal["negative", "ignored"]

# The limits are far above useful values; they only prevent overflow in derived numbers.
_Crop = Annotated[int, Field(ge=1, le=8192)]
_Clips = Annotated[int, Field(ge=1, le=100_000)]
_Epochs = Annotated[int, Field(ge=0, le=1_000_000)]
_Rate = Annotated[float, Field(gt=0, le=1000)]
_Weight = Annotated[float, Field(ge=0, le=10**6)]


@dataclass(frozen=True, slots=True, kw_only=True, config=STRICT)
class DataRecipe:
    """Section `data` of a recipe."""

    crop: tuple[_Crop, _Crop] = (224, 224)
    """(height, width) of the crop in stored pixels; multiples of 16 for every network."""
    clip_frames: Annotated[int, Field(ge=1, le=10_000)] = 8
    """T, number of frames per clip; if a recipe does not set it, the data set's value is used. A
    clip with one frame has no relations across frames."""
    max_objects: Annotated[int, Field(ge=0, le=1000)] = 10
    """Maximum number of detections per frame, highest scores first, without the background object;
    0 for the background alone, which is then the whole frame."""
    score_threshold: Annotated[float, Field(ge=0, le=1)] = 0.5
    """Minimum score of a detection."""
    flip: bool = False
    """Whether training clips are flipped left to right, with probability 1/2, together with their
    labels; requires `flipped_classes` in the manifest."""
    train_with_validation: bool = False
    """Whether the validation split is also used for training; the last weights are then kept,
    because there is no validation."""
    unsure_labels: UnsureLabels = "negative"
    """Treatment of unsure labels in training: negative, as in the authors' code, or ignored."""

    @property
    def training_splits(self) -> tuple[str, ...]:
        """Names of the splits used for training."""
        return ("train", "validation") if self.train_with_validation else ("train",)


@dataclass(frozen=True, slots=True, kw_only=True, config=STRICT)
class OptimizerRecipe:
    """Optimizer and learning rate schedule; each phase has its own."""

    name: Literal["adam", "adamw"] = "adam"
    """Adam with an L2 penalty, or AdamW with decoupled weight decay."""
    learning_rate: _Rate = 1e-4
    """Maximum learning rate of the schedule."""
    weight_decay: _Weight = 0.0
    """Weight decay for weights with two or more axes, but not for biases and normalizations."""
    schedule: Literal["constant", "one_cycle"] = "constant"
    """Constant, or cosine warm-up from 1/25 in the first 15 % of a phase and cosine decay to
    1/250,000 of the learning rate."""
    gradient_clip: Maybe[Annotated[float, Field(gt=0, le=10**6)]] = None
    """Maximum norm of the gradient of all weights; None for no clipping."""
    batch_size: _Clips = 16
    """Clips per batch and process."""
    accumulation: _Clips = 1
    """Gradient accumulation: number of batches whose gradients are averaged into one step."""


@dataclass(frozen=True, slots=True, kw_only=True, config=STRICT)
class PhaseRecipe:
    """The two phases of training (section 5): phase 1 trains the object head alone, phase 2 the
    whole network."""

    object_head_epochs: _Epochs = 5
    """Number of epochs in phase 1; 0 skips it."""
    epochs: _Epochs = 25
    """Number of epochs in phase 2; 0 skips it."""
    object_head_batch_size: Maybe[_Clips] = None
    """Clips per batch in phase 1; None for the batch size in section `optimizer`."""
    object_head_trains_resnet: bool = True
    """Whether phase 1 also trains the ResNet (conv1 to conv5). If not, its weights are frozen, only
    the running statistics of batch normalization change, and a step takes less than half the
    time."""
    warm_start: Literal["last", "best"] = "last"
    """Weights from phase 1 with which phase 2 starts: the last weights, or the weights with the
    best validation result (the last ones if phase 1 had no validation)."""


@dataclass(frozen=True, slots=True, kw_only=True, config=STRICT)
class LossRecipe:
    """The loss (eq. 12)."""

    activity_loss_weight: _Weight = 1.0
    """Weight of the activity loss; with gradient clipping, its absolute value matters."""
    object_loss_weight: _Weight = 1.0
    """Weight of the object class loss; 0 disables it."""
    each_head_loss_weight: _Weight = 0.0
    """Weight of the sum of the activity losses computed from each head's own logits, which is added
    to the loss of their mean; not in the paper. The loss of a single head has the larger of both
    weights."""
    label_smoothing: Annotated[float, Field(ge=0, lt=1)] = 0.0
    """Label smoothing of the activity losses for single labels; not in the paper."""
    reduction: Literal["mean", "sum"] = "mean"
    """Reduction of the object class loss: mean over all objects in the batch, or sum over the
    objects in a clip, as in the paper."""


@dataclass(frozen=True, slots=True, kw_only=True, config=STRICT)
class ValidationRecipe:
    """Validation during training, which determines early stopping and the best checkpoint."""

    every_epochs: Count = 1
    """Number of epochs between validations; a phase always ends with a validation."""
    patience: Maybe[Count] = None
    """Early-stopping patience: number of validations without improvement after which a phase ends;
    None for no early stopping."""


Part = Literal["network", "forest", "film"]


@dataclass(frozen=True, slots=True, kw_only=True, config=STRICT)
class Recipe:
    """All settings of a training run."""

    model: NetworkConfig
    """Settings of the network."""
    data: DataRecipe = field(default_factory=DataRecipe)
    """Settings for clips."""
    optimizer: OptimizerRecipe = field(default_factory=OptimizerRecipe)
    """Optimizer and learning rate schedule."""
    phases: PhaseRecipe = field(default_factory=PhaseRecipe)
    """Settings of both phases."""
    losses: LossRecipe = field(default_factory=LossRecipe)
    """Settings of the loss."""
    validation: ValidationRecipe = field(default_factory=ValidationRecipe)
    """Settings for validation during training."""
    initial_weights: Literal["imagenet", "random"] = "random"
    """Initial weights of the backbone: published ones (a ResNet's are inflated, section 5), or
    random ones. A frozen image network always has published weights, or those of a file."""
    ensemble: tuple[Part, ...] = ("network",)
    """Parts of the model, whose log-probabilities are averaged: the network and, optionally, a
    random forest on statistics of the objects and of motion, fitted when training ends, and for
    intervals of long videos a head over time, which reads whole films and takes the place of the
    network."""
    precision: Literal["auto", "fp32", "bf16"] = "auto"
    """With bf16, matrix products and convolutions use bfloat16; weights stay in float32. A run
    records `auto` as bf16 if its device computes bf16 fast, otherwise as fp32."""
    compile: bool = False
    """Whether torch.compile compiles the ResNet; requires a C++ compiler, or triton on a GPU."""
    log_every_steps: Count = 20
    """Number of steps between logged metrics, which are means over these steps; every phase ends
    with a log."""
    seed: Seed = 0
    """Random seed for initial weights, clips, crops and reference frames."""

    @model_validator(mode="after")
    def _check(self) -> "Recipe":
        if "network" not in self.ensemble or len(set(self.ensemble)) < len(self.ensemble):
            raise ValueError(
                'ensemble: expected "network" and, optionally, "forest" and "film", each once, got '
                f"{list(self.ensemble)}; `orn baseline` evaluates a forest alone"
            )
        stride = 1 if self.model.has_image_network else RESNET_STRIDE
        if any(length % stride for length in self.data.crop):
            raise ValueError(
                f"data.crop: expected multiples of {stride}, the stride of the object head's "
                f"features, got {list(self.data.crop)}"
            )
        return self

    def with_detector_classes(self, number: int) -> "Recipe":
        """Return a copy of the recipe for a detector with `number` classes."""
        model = dataclasses.replace(self.model, num_detector_classes=number)
        return dataclasses.replace(self, model=model)


def recipe_names() -> tuple[str, ...]:
    """Return the names of the recipes in the package."""
    return tuple(sorted(path.stem for path in RECIPES.glob("*.toml")))


def default_recipe(dataset_name: str, *, num_segments: int) -> str:
    """Return the name of the default recipe for a data set: its name, the first part of its name,
    or `paper_` and that part, if such a recipe exists, otherwise `small` for data sets with few
    segments, and `paper_resnet50` for all others."""
    first = dataset_name.split("-")[0].split("_")[0]
    for name in (dataset_name, first, f"paper_{first}"):
        if name in recipe_names():
            return name
    return SMALL if num_segments < FEW_SEGMENTS else "paper_resnet50"


def recipe_of_dataset(
    dataset: Dataset,
    name_or_file: str | None = None,
    *,
    overrides: Iterable[str] = (),
    system: str | None = None,
) -> Recipe:
    """Load a recipe, by default that of the data set, for the clips and classes of a data set; see
    `load_recipe`."""
    return load_recipe(
        name_or_file or default_recipe(dataset.name, num_segments=len(dataset.segments)),
        num_activities=len(dataset.classes),
        overrides=overrides,
        system=system,
        clip_frames=dataset.clip_frames,
    )


def load_recipe(
    name_or_file: str,
    *,
    num_activities: int,
    overrides: Iterable[str] = (),
    system: str | None = None,
    clip_frames: int | None = None,
) -> Recipe:
    """Load a recipe, apply overrides, and add sizes from the data set, for the COCO classes.

    Args:
        name_or_file: name in `recipe_names()`, or path to a TOML file.
        num_activities: A, from the data set.
        overrides: strings such as `optimizer.learning_rate=1e-3`, applied last.
        system: name of a system in the paper's tables; its settings override those in the file.
        clip_frames: T of the data set, used if the file does not set it.

    Raises:
        ConfigError: if the recipe or system does not exist, the file is not valid TOML, a setting
            is unknown or invalid.
    """
    path, overrides = _find(name_or_file), tuple(overrides)
    raw = read_toml(path)
    network, data = raw.get("model", {}), raw.get("data", {})
    if isinstance(network, Mapping):
        assigned = {text.partition("=")[0].strip().removeprefix("model.") for text in overrides}
        for name in _GIVEN.keys() & (network.keys() | assigned):
            raise ConfigError(f"model.{name} comes from the {_GIVEN[name]}; omit it")
        settings = find_system(system).settings if system is not None else {}
        raw["model"] = {**network, **settings, "num_activities": num_activities}
    if isinstance(data, Mapping) and clip_frames is not None:
        raw["data"] = {"clip_frames": clip_frames, **data}
    recipe = apply_overrides(config_from_dict(raw, Recipe, where=str(path)), overrides)
    model = recipe.model
    if model.architecture == "trn":
        model = dataclasses.replace(model, num_frames=recipe.data.clip_frames)
    return dataclasses.replace(recipe, model=model)


def _find(name_or_file: str) -> Path:
    for path in (RECIPES / f"{name_or_file}.toml", Path(name_or_file)):
        if not_a_file(path) is None:
            return path
    names = recipe_names()
    near = nearest(name_or_file, names)
    raise ConfigError(
        f"recipe {path_text(name_or_file)!r}: expected a TOML file or one of {', '.join(names)}; "
        f"did you mean {near!r}?"
    )


def apply_overrides(config: T, assignments: Iterable[str]) -> T:
    """Return a copy of `config` with overridden settings.

    Args:
        config: the configuration.
        assignments: strings such as "optimizer.learning_rate=1e-3"; a value that is not TOML is
            taken as a string. Validation follows all assignments.

    Raises:
        ConfigError: if a string has no "=", or a key or value is invalid.
    """
    assignments = tuple(assignments)
    if not assignments:
        return config
    values = to_dict(config)
    valid = leaves(values)
    for assignment in assignments:
        key, equals, text = (part.strip() for part in assignment.partition("="))
        if not equals:
            raise ConfigError(
                f"--set {assignment}: expected KEY=VALUE; write, for example, "
                f"{next(iter(valid))}=..."
            )
        *sections, name = key.split(".")
        if key not in valid:
            same_name = [candidate for candidate in valid if candidate.rpartition(".")[2] == name]
            raise ConfigError(
                f"--set {assignment}: unknown key {key!r}; "
                f"the nearest valid one is {nearest(key, same_name or valid)!r}"
            )
        table = values
        for section in sections:
            table = table[section]
        table[name] = _value_of(text)
    return config_from_dict(values, type(config), where="--set")


def leaves(table: Mapping[str, Any], prefix: str = "") -> dict[str, Any]:
    """Return the settings of nested dicts by dotted key."""
    settings: dict[str, Any] = {}
    for name, value in table.items():
        if isinstance(value, Mapping):
            settings |= leaves(value, f"{prefix}{name}.")
        else:
            settings[prefix + name] = value
    return settings


def _value_of(text: str) -> Any:
    """Return the value of an argument in TOML syntax; .5 and 1. are numbers, too."""
    try:
        return tomllib.loads(f"value = {text}")["value"]
    except (ValueError, RecursionError):
        pass
    try:
        return float(text)
    except ValueError:
        return text


def clip_seconds(recipe: Recipe, work: str, clips: int, *, device: str) -> float | None:
    """Return the estimated seconds to process clips with a recipe's network; None if its precision
    was not measured on the device. `work` is `train` or `eval`."""
    precision = choose_precision(recipe.precision, device)
    if is_slow(precision, device):
        return None
    if recipe.model.has_frozen_maps:
        maps = clips * recipe.data.clip_frames
        return estimated_seconds(f"{work} maps {precision}", maps, device=device)
    height, width = recipe.data.crop
    size = height * width / 224**2 * recipe.model.base_width / 64
    frames = clips * recipe.data.clip_frames * size
    return estimated_seconds(f"{work} {recipe.model.backbone} {precision}", frames, device=device)


def describe_system(name: str | None, model: NetworkConfig) -> str | None:
    """Return the name of a system and the settings that were overridden, such as `orn, with
    model.clique_size=3`."""
    if name is None:
        return None
    values = to_dict(model)
    changes = [
        _assignment(setting, values[setting])
        for setting, value in find_system(name).settings.items()
        if values[setting] != value
    ]
    return f"{name}, with {' '.join(changes)}" if changes else name


def _assignment(name: str, value: Any) -> str:
    """Return a setting of the network in the syntax of `--set`."""
    return f"model.{name}={value if isinstance(value, str) else json.dumps(value)}"
