"""What a network configuration accepts, and the widths of the paper that follow from it."""

import re
from typing import Any

import pytest

from orn.shared.config.files import config_from_dict
from orn.shared.errors import ConfigError
from orn.stage2_train.model import build
from orn.stage2_train.model.config import NetworkConfig
from tests.bounded import bounded


@pytest.mark.parametrize(
    ("backbone", "base_width", "feature_width", "object_width"),
    [("resnet50", 64, 2048, 2229), ("resnet18", 64, 512, 693), ("resnet18", 16, 128, 309)],
)
def test_widths(backbone, base_width, feature_width, object_width) -> None:
    config = NetworkConfig(num_activities=2, backbone=backbone, base_width=base_width)
    assert config.feature_width == feature_width
    assert config.object_width == object_width
    assert config.class_width == 81


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        (
            {"backbone": "resnet34"},
            "backbone: expected one of 'resnet18', 'resnet50', got 'resnet34'",
        ),
        ({"kernels": ["2d", "2.5d"]}, "kernels: expected at least 5 entries, got ['2d', '2.5d']"),
        ({"kernels": ["4d"] * 5}, "kernels[0]: expected one of '2d', '2.5d', '3d', got '4d'"),
        ({"heads": "none"}, "heads: expected one of 'both', 'object', 'activity', got 'none'"),
        ({"object_parts": ["class", "shape"]}, "some of shape, appearance, class, in this order"),
        ({"object_parts": []}, "object_parts: wanted some of"),
        ({"clique_size": 4}, "clique_size: expected at most 3, got 4"),
        ({"clique_size": 1}, "relation_frames: wanted same, for cliques of one"),
        ({"architecture": "trn"}, "heads: wanted activity, for architecture trn"),
        ({"conv5_object_stride": 4}, "conv5_object_stride: expected at most 2, got 4"),
        ({"relation_width": 0}, "relation_width: expected at least 1, got 0"),
        ({"num_activities": 2.5}, "num_activities: expected a whole number, got 2.5"),
    ],
)
def test_refuses_settings_that_cannot_be(changes, message) -> None:
    with pytest.raises(ConfigError, match=re.escape(message)):
        config_from_dict({"num_activities": 2, **changes}, NetworkConfig, source="test")


def build_with(memory: int, sizes: dict[str, Any]) -> None:
    build.machine_memory = lambda: memory
    build.build_network(NetworkConfig(num_activities=3, **sizes))


def test_a_network_larger_than_the_memory() -> None:
    with pytest.raises(ConfigError, match=r"model\.base_width: .* 26 GB, found 4096"):
        bounded(build_with, 24 << 30, {"backbone": "resnet50", "base_width": 4096})


@pytest.mark.parametrize(
    ("name", "large"),
    [("base_width", 4096), ("mask_size", 1024), ("mask_features", 9999), ("relation_width", 9999)],
)
def test_the_largest_setting_is_named(name: str, large: int, monkeypatch) -> None:
    monkeypatch.setattr(build, "machine_memory", lambda: 1)
    with pytest.raises(ConfigError, match=rf"model\.{name}: .* of 0 GB, found {large}"):
        build.build_network(NetworkConfig(num_activities=3, **{name: large}))


def test_weights_are_counted_where_sizes_are_large(monkeypatch) -> None:
    monkeypatch.setattr(build, "machine_memory", lambda: 1)
    build.build_network(NetworkConfig(num_activities=3, base_width=2))
