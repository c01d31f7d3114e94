"""How the network of a recipe follows from its system, its clips and the settings given on top."""

import dataclasses
import json
from typing import Any

from orn.shared.config.files import to_dict
from orn.shared.errors import ConfigError
from orn.stage2_train.model.config import NetworkConfig
from orn.stage2_train.systems import find_system

_RESNET = ("backbone", "kernels", "temporal_place", "temporal_start")
_HEADS = (
    *("aggregation", "gru_states", "head_combination"),
    *("objects", "object_parts", "class_part", "clique_size", "relation_frames", "reasoning"),
    *("earlier_frame_draw", "first_phase_reasoning", "object_conv5_kernel"),
    *("mask_pooling", "mlp_dropout", "mlp_start", "normalise_hidden"),
)
_UNREAD: dict[str, tuple[str, ...]] = {
    "object_video": ("num_frames",),
    "i3d": (*_RESNET, *_HEADS, "num_frames"),
    "c3d": (*_RESNET, *_HEADS, "num_frames"),
    "trn": _HEADS,
}
"""Choices that say nothing of an architecture. Sizes are not among them, so that one `--set` serves
all systems of a table."""


def check_overrides_are_read(before: NetworkConfig, after: NetworkConfig) -> None:
    """Refuses choices that were set for an architecture that does not read them.

    What a recipe says for other systems may stay.

    Args:
        before: as recipe and system have it.
        after: with the settings given on top.

    Raises:
        ConfigError: naming the setting.
    """
    for name in _UNREAD[after.architecture]:
        if getattr(before, name) != getattr(after, name):
            raise ConfigError(
                f"--set {_assignment(name, after)}: architecture {after.architecture} does not "
                f"read model.{name}; leave it out"
            )


def made_for_clips(model: NetworkConfig, clip_frames: int | None) -> NetworkConfig:
    """The network, told the length of its clips if it is made for one length.

    Raises:
        ConfigError: if it was set to another length.
    """
    if model.architecture != "trn" or clip_frames is None:
        return model
    if model.num_frames not in (None, clip_frames):
        raise ConfigError(
            f"model.num_frames: wanted the {clip_frames} frames of a clip (data.clip_frames), "
            f"found {model.num_frames}"
        )
    return dataclasses.replace(model, num_frames=clip_frames)


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
