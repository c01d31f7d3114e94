"""Networks that no memory holds are refused before they are built."""

from typing import Any

import pytest

from orn.shared.errors import ConfigError
from orn.stage2_train.model import build
from orn.stage2_train.model.config import NetworkConfig
from tests.bounded import bounded


def build_with(memory: int, sizes: dict[str, Any]) -> None:
    build.machine_memory = lambda: memory
    build.build_network(NetworkConfig(num_activities=3, **sizes))


def test_a_network_larger_than_the_memory() -> None:
    with pytest.raises(ConfigError) as caught:
        bounded(build_with, 24 << 30, {"backbone": "resnet50", "base_width": 4096})
    assert str(caught.value).startswith(
        "model.base_width: wanted a network that fits this machine's memory of 26 GB, found 4096, "
    )


@pytest.mark.parametrize("name", ["base_width", "mask_size", "mask_features", "relation_width"])
def test_the_largest_setting_is_named(name: str, monkeypatch) -> None:
    monkeypatch.setattr(build, "machine_memory", lambda: 1)
    large = 3 * build._COUNTED_ABOVE[name]
    with pytest.raises(ConfigError, match=rf"model\.{name}: .* of 0 GB, found {large}, with which"):
        build.build_network(NetworkConfig(num_activities=3, **{name: large}))


def test_weights_are_counted_where_sizes_are_large(monkeypatch) -> None:
    monkeypatch.setattr(build, "machine_memory", lambda: 1)
    build.build_network(NetworkConfig(num_activities=3, base_width=2))
