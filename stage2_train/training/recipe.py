"""A recipe: everything that decides how a network is trained, read from one TOML file.

`recipes/` holds the ones that are shipped. The number of activities is the data set's and is no
part of the file.
"""

import dataclasses
import tomllib
from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

from shared.config.files import apply_overrides, config_from_dict
from shared.errors import ConfigError
from shared.nearest import nearest
from stage2_train.clips.controls import Controls
from stage2_train.clips.dataset import UnsureLabels
from stage2_train.model.config import NetworkConfig
from stage2_train.systems import find_system
from stage2_train.training.losses import Reduction
from stage2_train.training.network_choice import check_overrides_are_read, made_for_clips

__all__ = [
    "DataRecipe",
    "LossRecipe",
    "OptimiserRecipe",
    "PhaseRecipe",
    "Recipe",
    "ValidationRecipe",
    "default_recipe",
    "load_recipe",
    "recipe_names",
]

RECIPES = Path(__file__).parent.parent / "recipes"


@dataclass(frozen=True, slots=True, kw_only=True)
class DataRecipe:
    """How clips are made."""

    crop: tuple[int, int] = (224, 224)
    """(height, width) of the crop in stored pixels, multiples of 16."""
    clip_frames: int | None = None
    """T, frames of a clip; none takes the data set's. With 1 no frames are related."""
    max_objects: int = 10
    """Detections of a frame at most, the highest scores first; a background object comes on top."""
    score_threshold: float = 0.5
    """Detections below it are ignored."""
    train_segments: int | None = None
    """Segments to train on, drawn from those of the split; none for all. For learning curves."""
    unsure_labels: UnsureLabels = "negative"
    """Classes of which annotators could not tell whether they hold: count as absent in training, as
    in the authors' code, or are `ignored` by the loss. Evaluation leaves them out either way."""
    controls: Controls = field(default_factory=Controls)
    """What is changed about clips on purpose, in experiments only."""

    def __post_init__(self) -> None:
        """Raises ConfigError naming the field."""
        if any(length < 16 or length % 16 for length in self.crop):
            raise _bad("data.crop", "multiples of 16", list(self.crop))
        if self.clip_frames is not None and self.clip_frames < 1:
            raise _bad("data.clip_frames", "at least 1 frame", self.clip_frames)
        if self.train_segments is not None and self.train_segments < 1:
            raise _bad("data.train_segments", "at least 1 segment", self.train_segments)
        if self.max_objects < 1:
            raise _bad("data.max_objects", "at least 1", self.max_objects)
        if not 0 <= self.score_threshold <= 1:
            raise _bad("data.score_threshold", "0 to 1", self.score_threshold)


@dataclass(frozen=True, slots=True, kw_only=True)
class OptimiserRecipe:
    """How weights move; each phase starts an optimiser and a schedule of its own."""

    name: Literal["adam", "adamw"] = "adam"
    """Adam with an L2 penalty, or AdamW with decoupled weight decay."""
    learning_rate: float = 1e-4
    """The highest of the schedule."""
    weight_decay: float = 0.0
    """Of weights with two axes or more; biases and normalisations have none."""
    schedule: Literal["constant", "one_cycle"] = "constant"
    """Constant, or a cosine up from 1/25 and a cosine down to 1/250,000 of the learning rate."""
    warm_up_share: float = 0.15
    """Share of a phase in which `one_cycle` rises."""
    gradient_clip: float | None = None
    """Largest norm of the gradient of all weights; none for no limit."""
    batch_size: int = 16
    """Clips of a batch of one process."""
    accumulation: int = 1
    """Batches whose gradients are averaged into one step."""

    def __post_init__(self) -> None:
        """Raises ConfigError naming the field."""
        if not self.learning_rate > 0:
            raise _bad("optimiser.learning_rate", "more than 0", self.learning_rate)
        if not self.weight_decay >= 0:
            raise _bad("optimiser.weight_decay", "at least 0", self.weight_decay)
        if not 0 < self.warm_up_share < 1:
            raise _bad("optimiser.warm_up_share", "between 0 and 1", self.warm_up_share)
        if self.gradient_clip is not None and not self.gradient_clip > 0:
            raise _bad("optimiser.gradient_clip", "more than 0, or none", self.gradient_clip)
        if self.batch_size < 1:
            raise _bad("optimiser.batch_size", "at least 1", self.batch_size)
        if self.accumulation < 1:
            raise _bad("optimiser.accumulation", "at least 1", self.accumulation)


@dataclass(frozen=True, slots=True, kw_only=True)
class PhaseRecipe:
    """How long the two phases are: the object head alone, then the whole network (section 5)."""

    object_head_epochs: int = 5
    """Epochs of the object head alone; 0 leaves that phase out."""
    epochs: int = 25
    """Epochs of the whole network; 0 leaves that phase out."""
    object_head_steps: int | None = None
    """Steps of the object head alone, in place of its epochs."""
    steps: int | None = None
    """Steps of the whole network, in place of its epochs."""

    def __post_init__(self) -> None:
        """Raises ConfigError naming the field."""
        for row in dataclasses.fields(self):
            value = getattr(self, row.name)
            if value is not None and value < 0:
                raise _bad(f"phases.{row.name}", "at least 0", value)


@dataclass(frozen=True, slots=True, kw_only=True)
class LossRecipe:
    """The loss (eq. 12)."""

    object_loss_weight: float = 1.0
    """Weight of the object class loss beside the activity loss."""
    reduction: Reduction = "mean"
    """Mean over all objects of the batch, or sum over the objects of a clip as the paper has it."""

    def __post_init__(self) -> None:
        """Raises ConfigError naming the field."""
        if not self.object_loss_weight >= 0:
            raise _bad("losses.object_loss_weight", "at least 0", self.object_loss_weight)


@dataclass(frozen=True, slots=True, kw_only=True)
class ValidationRecipe:
    """How a training is watched; early stopping and the best checkpoint follow the metric."""

    every_epochs: int = 1
    """Epochs between validations; the end of a phase is always validated."""
    patience: int | None = None
    """Validations without a better metric after which a phase ends; none for no early stopping."""
    clips: int = 1
    """Test clips of each segment."""

    def __post_init__(self) -> None:
        """Raises ConfigError naming the field."""
        for name in ("every_epochs", "patience", "clips"):
            value = getattr(self, name)
            if value is not None and value < 1:
                raise _bad(f"validation.{name}", "at least 1", value)


@dataclass(frozen=True, slots=True, kw_only=True)
class Recipe:
    """One experiment."""

    model: NetworkConfig
    """The network."""
    data: DataRecipe = field(default_factory=DataRecipe)
    """The clips."""
    optimiser: OptimiserRecipe = field(default_factory=OptimiserRecipe)
    """The steps."""
    phases: PhaseRecipe = field(default_factory=PhaseRecipe)
    """Their number."""
    losses: LossRecipe = field(default_factory=LossRecipe)
    """What they make small."""
    validation: ValidationRecipe = field(default_factory=ValidationRecipe)
    """What is looked at meanwhile."""
    initial_weights: Literal["imagenet", "random"] = "random"
    """Where the ResNet starts: from ImageNet weights (section 5), inflated, or from nothing."""
    precision: Literal["fp32", "bf16"] = "fp32"
    """bf16 computes matrix products and convolutions in bfloat16; weights stay float32."""
    compile: bool = False
    """Whether torch.compile translates the ResNet; needs a C++ compiler, or triton on a GPU."""
    checkpoint_activations: bool = False
    """Whether the blocks of the ResNet are computed again for the gradient, to save memory."""
    checkpoint_every_steps: int = 500
    """Steps between checkpoints inside an epoch; the end of an epoch always has one."""
    log_every_steps: int = 20
    """Steps between lines of metrics; a line holds means over them."""
    seed: int = 0
    """Seed of first weights, clips, crops and earlier frames."""

    def __post_init__(self) -> None:
        """Raises ConfigError naming the field."""
        stride = 16 * self.model.conv5_object_stride
        if any(length % stride for length in self.data.crop):
            wanted = f"multiples of {stride}, the stride of the object head's features"
            raise _bad("data.crop", wanted, list(self.data.crop))
        for name in ("checkpoint_every_steps", "log_every_steps"):
            if getattr(self, name) < 1:
                raise _bad(name, "at least 1", getattr(self, name))
        if self.seed < 0:
            raise _bad("seed", "at least 0", self.seed)
        if self.compile and self.checkpoint_activations:
            raise _bad("checkpoint_activations", "false together with compile", True)

    @property
    def feature_cells(self) -> tuple[int, int]:
        """(h, w) of the object head's feature map over the crop."""
        stride = 16 * self.model.conv5_object_stride
        return self.data.crop[0] // stride, self.data.crop[1] // stride


def recipe_names() -> tuple[str, ...]:
    """Names of the recipes that are shipped."""
    return tuple(sorted(path.stem for path in RECIPES.glob("*.toml")))


def default_recipe(dataset_name: str) -> str:
    """The recipe called like the data set or the first part of its name, else the paper's."""
    for name in (dataset_name, dataset_name.split("-")[0].split("_")[0]):
        if name in recipe_names():
            return name
    return "paper_resnet50"


def load_recipe(
    name_or_file: str,
    *,
    num_activities: int,
    overrides: Iterable[str] = (),
    system: str | None = None,
    clip_frames: int | None = None,
) -> Recipe:
    """The recipe of this name, or in this file, with settings replaced.

    Args:
        name_or_file: a name in `recipe_names()`, or the path of a TOML file.
        num_activities: A, from the data set.
        overrides: strings such as `optimiser.learning_rate=1e-3`; they come last.
        system: name of a system of the paper's tables, which decides what the network computes in
            place of the file.
        clip_frames: T of the data set, for a network that is made for clips of one length; the
            recipe's own goes first.

    Raises:
        ConfigError: if there is no such recipe or system, it is no TOML, or a setting is unknown or
            wrong, or is replaced for a network that does not read it.
    """
    path, raw = _read(name_or_file)
    network = dict(raw.get("model", {}))
    if "num_activities" in network:
        raise ConfigError(f"{path}: model.num_activities comes from the data set; remove it")
    settings = find_system(system).settings if system is not None else {}
    raw["model"] = network | settings | {"num_activities": num_activities}
    plain = config_from_dict(raw, Recipe, source=str(path))
    recipe = apply_overrides(plain, overrides)
    if recipe.model.num_activities != num_activities:
        raise ConfigError(
            f"model.num_activities: wanted the data set's {num_activities}, "
            f"found {recipe.model.num_activities}; it cannot be set"
        )
    check_overrides_are_read(plain.model, recipe.model)
    model = made_for_clips(recipe.model, recipe.data.clip_frames or clip_frames)
    return dataclasses.replace(recipe, model=model)


def _read(name_or_file: str) -> tuple[Path, dict[str, Any]]:
    """Where a recipe is, and what is in it."""
    path = RECIPES / f"{name_or_file}.toml"
    if not path.is_file():
        path = Path(name_or_file)
    if not path.is_file():
        names = recipe_names()
        near = nearest(name_or_file, names)
        hint = f"; did you mean {near!r}?" if near else ""
        raise ConfigError(
            f"recipe {name_or_file!r}: wanted a file or one of {', '.join(names)}{hint}"
        )
    try:
        return path, tomllib.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as err:
        raise ConfigError(f"{path}: cannot be read as TOML ({err})") from err


def _bad(setting: str, wanted: str, found: object) -> ConfigError:
    return ConfigError(f"{setting}: wanted {wanted}, found {found}")
