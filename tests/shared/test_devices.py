import os

import pytest
import torch

from orn.shared.devices import choose_device, devices_of_workers
from orn.shared.errors import ConfigError


def test_devices(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    assert choose_device("auto") == choose_device("cpu") == "cpu"
    with pytest.raises(ConfigError, match="device cuda:1: this machine has 0 CUDA devices"):
        choose_device("cuda:1")
    for name in ("gpu", "meta", "mps", "cpu:1", "cuda:-1", "cuda:", ""):
        with pytest.raises(ConfigError, match=f"wanted auto, cpu, cuda or cuda:N, found {name!r}"):
            choose_device(name)
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 2)
    assert choose_device("cuda:1") == "cuda:1"
    with pytest.raises(ConfigError, match="device cuda:2: this machine has 2 CUDA devices"):
        choose_device("cuda:2")
    assert choose_device("auto") == "cuda"


def test_devices_of_workers(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    monkeypatch.setattr(os, "sched_getaffinity", lambda process: {1, 2, 5}, raising=False)
    assert devices_of_workers("auto", None) == ("cpu",) * 3
    assert devices_of_workers("cpu", 2) == ("cpu", "cpu")
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 2)
    assert devices_of_workers("auto", None) == ("cuda:0", "cuda:1")
    assert devices_of_workers("cuda", 1) == ("cuda:0",)
    in_turns = ("cuda:0", "cuda:1", "cuda:0", "cuda:1", "cuda:0")
    assert devices_of_workers("auto", 5) == in_turns
    assert devices_of_workers("cuda:1", None) == ("cuda:1",)
    assert devices_of_workers("cuda:1", 2) == ("cuda:1", "cuda:1")
    assert devices_of_workers("cpu", None) == ("cpu",) * 3
