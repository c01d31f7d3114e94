from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from shared.errors import ConfigError
from shared.shards.plan import Unit
from stage1_detect.engines import choice
from stage1_detect.engines.choice import (
    Engine,
    LocalEngine,
    RayEngine,
    choose_engine,
    device_type,
    driver_device,
    run_on,
)
from tests.stage1_detect.conftest import FakeDetector


def load(device: str) -> FakeDetector:
    return FakeDetector()


def chosen(name: str, **options: Any) -> Engine:
    asked = {"load": load, "device": "cpu", "workers": None, "address": None, **options}
    return choose_engine(name, **asked)


def test_ray_needs_no_device_here() -> None:
    engine = chosen("ray", device="cuda", workers=3, address="auto")
    assert engine == RayEngine(load=load, device="cuda", workers=3, address="auto")


@pytest.mark.mmdet
def test_local_names_a_device_for_each_process() -> None:
    assert chosen("local", workers=2) == LocalEngine(load=load, devices=("cpu", "cpu"))


def test_device_type() -> None:
    assert device_type(chosen("ray", device="auto")) is None
    assert device_type(chosen("ray", device="cuda")) == "cuda"
    assert device_type(LocalEngine(load=load, devices=("cuda:0", "cuda:1"))) == "cuda"
    assert device_type(LocalEngine(load=load, devices=("cpu",))) == "cpu"


@pytest.mark.parametrize(
    ("name", "options", "message"),
    [
        pytest.param("ray", {"device": "cuda:1"}, "Ray chooses the GPU", id="one GPU"),
        pytest.param("local", {"address": "h:1"}, "--address h:1: only --engine ray", id="address"),
    ],
)
def test_options_that_do_not_go_together(name: str, options: Any, message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        chosen(name, **options)


@pytest.mark.parametrize(
    ("devices", "num_units", "runner"),
    [
        pytest.param(("cpu",), 3, "run_units", id="one process"),
        pytest.param(("cpu", "cpu"), 3, "run_units_in_processes", id="several"),
        pytest.param(("cpu", "cpu"), 1, "run_units", id="nothing to share"),
        pytest.param(("cuda:0",), 3, "run_units", id="one GPU"),
        pytest.param(("cuda:0", "cuda:1"), 3, "run_units_in_processes", id="several GPUs"),
        pytest.param(("cuda:0", "cuda:1"), 1, "run_units_in_processes", id="detector not here"),
    ],
)
def test_who_runs_the_units(
    devices: tuple[str, ...], num_units: int, runner: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    called: list[str] = []

    def record(name: str) -> Any:
        def run(units: Any, **arguments: Any) -> Iterator[Any]:
            called.append(name)
            return iter(())

        return run

    for name in ("run_units", "run_units_in_processes"):
        monkeypatch.setattr(choice, name, record(name))
    engine = LocalEngine(load=load, devices=devices)
    run_on(
        engine, [Unit(index=index, parts=()) for index in range(num_units)],
        detector=load("cpu"), videos={}, folder=Path("out"), batch=1, advance=lambda frames: None,
    )  # fmt: skip
    assert called == [runner]
    needs_own_detector = runner == "run_units"
    assert not needs_own_detector or driver_device(engine) == devices[0]
