"""A recipe: everything that decides how a network is trained, read from one TOML file.

`recipes/` holds the ones that are shipped. The number of activities is the data set's, and that of
the detector's classes is the shards'; they are no part of the file. The number of frames of a clip
need not be one.
"""

import dataclasses
import json
from collections.abc import Iterable, Mapping
from dataclasses import field
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import Field, model_validator
from pydantic.dataclasses import dataclass

from orn.shared.config.fields import STRICT, Count, Maybe, Seed
from orn.shared.config.files import apply_overrides, config_from_dict, read_toml, to_dict
from orn.shared.data_files import not_a_file
from orn.shared.errors import ConfigError
from orn.shared.nearest import nearest
from orn.shared.text import path_text
from orn.stage2_train.clips.settings import DataRecipe
from orn.stage2_train.model.config import NetworkConfig
from orn.stage2_train.systems import find_system

RECIPES = Path(__file__).parent / "recipes"

_RESNET = ("backbone", "kernels", "temporal_place", "temporal_start")
_HEADS = (
    *("aggregation", "gru_states", "head_combination"),
    *("objects", "object_parts", "class_part", "clique_size", "relation_frames", "reasoning"),
    "relation_pairs",
    *("earlier_frame_draw", "empty_slots", "first_phase_reasoning"),
    *("object_conv5_kernel", "object_conv5_start"),
    *("mask_pooling", "mlp_dropout", "mlp_start", "normalise_hidden"),
)
_GIVEN = {"num_activities": "data set", "num_detector_classes": "shards"}
"""Numbers of a network that are no settings, and what they come from."""
_UNREAD: dict[str, tuple[str, ...]] = {
    "object_video": ("num_frames",),
    "i3d": (*_RESNET, *_HEADS, "num_frames"),
    "c3d": (*_RESNET, *_HEADS, "num_frames"),
    "trn": _HEADS,
}
"""Choices that say nothing of an architecture. Sizes are not among them, so that one `--set` serves
all systems of a table."""

# Limits are far above what anyone trains with, and low enough for what is computed from them.
_Clips = Annotated[int, Field(ge=1, le=100_000)]
_Epochs = Annotated[int, Field(ge=0, le=1_000_000)]
_Steps = Annotated[int, Field(ge=0, le=10**9)]
_Rate = Annotated[float, Field(gt=0, le=1000)]
_Weight = Annotated[float, Field(ge=0, le=10**6)]


@dataclass(frozen=True, slots=True, kw_only=True, config=STRICT)
class OptimiserRecipe:
    """How weights move; each phase starts an optimiser and a schedule of its own."""

    name: Literal["adam", "adamw"] = "adam"
    """Adam with an L2 penalty, or AdamW with decoupled weight decay."""
    learning_rate: _Rate = 1e-4
    """The highest of the schedule."""
    weight_decay: _Weight = 0.0
    """Of weights with two axes or more; biases and normalisations have none."""
    schedule: Literal["constant", "one_cycle"] = "constant"
    """Constant, or a cosine up from 1/25 and a cosine down to 1/250,000 of the learning rate."""
    warm_up_share: Annotated[float, Field(gt=0, lt=1)] = 0.15
    """Share of a phase in which `one_cycle` rises."""
    gradient_clip: Maybe[Annotated[float, Field(gt=0, le=10**6)]] = None
    """Largest norm of the gradient of all weights; none for no limit."""
    batch_size: _Clips = 16
    """Clips of a batch of one process."""
    accumulation: _Clips = 1
    """Batches whose gradients are averaged into one step."""


@dataclass(frozen=True, slots=True, kw_only=True, config=STRICT)
class PhaseRecipe:
    """The two phases, the object head alone, then the whole network (section 5): how long they are,
    what the first one trains, and what it hands over."""

    object_head_epochs: _Epochs = 5
    """Epochs of the object head alone; 0 leaves that phase out."""
    epochs: _Epochs = 25
    """Epochs of the whole network; 0 leaves that phase out."""
    object_head_steps: Maybe[_Steps] = None
    """Steps of the object head alone, in place of its epochs."""
    steps: Maybe[_Steps] = None
    """Steps of the whole network, in place of its epochs."""
    object_head_batch_size: Maybe[_Clips] = None
    """Clips of a batch while the object head is trained alone; none for the optimiser's."""
    object_head_trains_resnet: bool = True
    """Whether that phase trains the ResNet (conv1 to conv5), too; if not, its weights stay what
    they are, only statistics of batch normalisation move, and a step takes under half the time."""
    hand_over: Literal["last", "best"] = "last"
    """Which weights of the first phase the second one starts from: the last ones, or those of the
    best validation; the last ones where none was validated."""


@dataclass(frozen=True, slots=True, kw_only=True, config=STRICT)
class LossRecipe:
    """The loss (eq. 12)."""

    activity_loss_weight: _Weight = 1.0
    """Weight of the activity loss; it matters for the size of gradients, which are clipped."""
    object_loss_weight: _Weight = 1.0
    """Weight of the object class loss; 0 leaves it out."""
    each_head_loss_weight: _Weight = 0.0
    """Weight of the activity losses of both heads' own logits, summed, beside that of their mean;
    not in the paper."""
    reduction: Literal["mean", "sum"] = "mean"
    """Mean over all objects of the batch, or sum over the objects of a clip as the paper has it."""


@dataclass(frozen=True, slots=True, kw_only=True, config=STRICT)
class ValidationRecipe:
    """How a training is watched; early stopping and the best checkpoint follow the metric."""

    every_epochs: Count = 1
    """Epochs between validations; the end of a phase is always validated."""
    patience: Maybe[Count] = None
    """Validations without a better metric after which a phase ends; none for no early stopping."""
    clips: Annotated[int, Field(ge=1, le=1000)] = 1
    """Test clips of each segment."""


@dataclass(frozen=True, slots=True, kw_only=True, config=STRICT)
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
    checkpoint_every_steps: Count = 500
    """Steps between checkpoints inside an epoch; the end of an epoch always has one."""
    log_every_steps: Count = 20
    """Steps between lines of metrics; a line holds means over them."""
    seed: Seed = 0
    """Seed of first weights, clips, crops and earlier frames."""

    @model_validator(mode="after")
    def _check(self) -> "Recipe":
        stride = self.crop_stride
        if any(length % stride for length in self.data.crop):
            raise ValueError(
                f"data.crop: wanted multiples of {stride}, the stride of the object head's "
                f"features, found {list(self.data.crop)}"
            )
        if self.compile and self.checkpoint_activations:
            raise ValueError(
                "checkpoint_activations: wanted false together with compile, found true"
            )
        return self

    def with_detector_classes(self, number: int) -> "Recipe":
        """Return the recipe with a network for so many classes of a detector."""
        model = dataclasses.replace(self.model, num_detector_classes=number)
        return dataclasses.replace(self, model=model)

    @property
    def crop_stride(self) -> int:
        """What sides of a crop are multiples of: the stride of the object head's features."""
        return 16 * self.model.conv5_object_stride

    @property
    def feature_cells(self) -> tuple[int, int]:
        """(h, w) of the object head's feature map over the crop."""
        return self.data.crop[0] // self.crop_stride, self.data.crop[1] // self.crop_stride


def recipe_names() -> tuple[str, ...]:
    """Names of the recipes that are shipped."""
    return tuple(sorted(path.stem for path in RECIPES.glob("*.toml")))


def default_recipe(dataset_name: str) -> str:
    """The recipe called like the data set or the first part of its name, or `paper_` and that part,
    else the paper's network for any data set."""
    first = dataset_name.split("-")[0].split("_")[0]
    for name in (dataset_name, first, f"paper_{first}"):
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
    """The recipe of this name, or in this file, with settings replaced and with all numbers that
    follow from the data set, for a detector of COCO's classes.

    Args:
        name_or_file: a name in `recipe_names()`, or the path of a TOML file.
        num_activities: A, from the data set.
        overrides: strings such as `optimiser.learning_rate=1e-3`; they come last.
        system: name of a system of the paper's tables, which decides what the network computes in
            place of the file.
        clip_frames: T of the data set; the file's own goes first.

    Raises:
        ConfigError: if there is no such recipe or system, it is no TOML, or a setting is unknown or
            wrong, or is replaced for a network that does not read it.
    """
    path = _find(name_or_file)
    raw = read_toml(path)
    network, data = raw.get("model", {}), raw.get("data", {})
    if isinstance(network, Mapping):
        for name in _GIVEN.keys() & network.keys():
            raise ConfigError(f"{path}: model.{name} comes from the {_GIVEN[name]}; remove it")
        settings = find_system(system).settings if system is not None else {}
        raw["model"] = {**network, **settings, "num_activities": num_activities}
    if isinstance(data, Mapping) and clip_frames is not None:
        raw["data"] = {"clip_frames": clip_frames, **data}
    plain = config_from_dict(raw, Recipe, source=str(path))
    recipe = apply_overrides(plain, overrides)
    for name, source in _GIVEN.items():
        given, found = (getattr(each.model, name) for each in (plain, recipe))
        if given != found:
            raise ConfigError(
                f"model.{name}: expected the number of the {source}, got {found}; leave it out"
            )
    _check_overrides_are_read(plain.model, recipe.model)
    return _made_for_clips(recipe)


def _find(name_or_file: str) -> Path:
    for path in (RECIPES / f"{name_or_file}.toml", Path(name_or_file)):
        if not_a_file(path) is None:
            return path
    names = recipe_names()
    near = nearest(name_or_file, names)
    raise ConfigError(
        f"recipe {path_text(name_or_file)!r}: wanted a file or one of {', '.join(names)}; "
        f"did you mean {near!r}?"
    )


def _check_overrides_are_read(before: NetworkConfig, after: NetworkConfig) -> None:
    """Refuses choices that were set on top for an architecture that does not read them. What a
    recipe says for other systems may stay."""
    for name in _UNREAD[after.architecture]:
        if getattr(before, name) != getattr(after, name):
            raise ConfigError(
                f"--set {_assignment(name, after)}: architecture {after.architecture} does not "
                f"read model.{name}; leave it out"
            )


def _made_for_clips(recipe: Recipe) -> Recipe:
    """The recipe, its network told the length of clips if it is made for one length.

    Raises:
        ConfigError: if it was set to another length.
    """
    model, clip_frames = recipe.model, recipe.data.clip_frames
    if model.architecture != "trn":
        return recipe
    if model.num_frames not in (None, clip_frames):
        raise ConfigError(
            f"model.num_frames: wanted the {clip_frames} frames of a clip (data.clip_frames), "
            f"found {model.num_frames}"
        )
    return dataclasses.replace(recipe, model=dataclasses.replace(model, num_frames=clip_frames))


def system_as_changed(name: str | None, model: NetworkConfig) -> str | None:
    """What to call a network that was asked for as a system: the system's name, and what other
    settings make of it, such as `orn, with model.clique_size=3`."""
    if name is None:
        return None
    values = to_dict(model)
    changes = [
        _assignment(setting, model)
        for setting, value in find_system(name).settings.items()
        if values[setting] != value
    ]
    return f"{name}, with {' '.join(changes)}" if changes else name


def _assignment(name: str, model: NetworkConfig) -> str:
    """A setting as `--set` takes it."""
    value: Any = to_dict(model)[name]
    return f"model.{name}={value if isinstance(value, str) else json.dumps(value)}"
