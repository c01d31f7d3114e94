"""What can be told of a Ray cluster without one."""

from __future__ import annotations

import builtins
import socket
import sys
from typing import Any

import pytest

from shared.errors import ConfigError, DetectorError
from stage1_detect.engines.ray_cluster import count_actors, import_ray, joined


@pytest.mark.parametrize(
    ("resources", "device", "workers", "expected"),
    [
        pytest.param({"CPU": 16.0, "GPU": 4.0}, "auto", None, (4, "cuda"), id="one a GPU"),
        pytest.param({"CPU": 16.0, "GPU": 4.0}, "cpu", None, (16, "cpu"), id="GPUs not wanted"),
        pytest.param({"CPU": 16.0, "GPU": 4.0}, "cuda", 2, (2, "cuda"), id="fewer than GPUs"),
        pytest.param({"CPU": 16.0}, "auto", None, (16, "cpu"), id="one a core"),
        pytest.param({"CPU": 2.0}, "cuda", 8, (8, "cuda"), id="GPUs that are yet to come"),
        pytest.param({}, "auto", None, (1, "cpu"), id="machines that are yet to come"),
    ],
)
def test_actors_suit_the_cluster(
    resources: dict[str, float], device: str, workers: int | None, expected: tuple[int, str]
) -> None:
    assert count_actors(resources, device=device, workers=workers) == expected


def test_gpus_that_are_not_there() -> None:
    with pytest.raises(ConfigError, match="--device cuda: the Ray cluster has no GPU"):
        count_actors({"CPU": 2.0}, device="cuda", workers=None)


def test_an_address_where_nothing_listens() -> None:
    with socket.socket() as taken:  # bound, but not listening
        taken.bind(("127.0.0.1", 0))
        address = f"127.0.0.1:{taken.getsockname()[1]}"
        with (
            pytest.raises(ConfigError, match=f"no Ray cluster at {address} .*ray start --head"),
            joined(NotJoined(), address),
        ):
            pass


class NotJoined:
    """Stands for ray in a process that has joined no cluster."""

    @staticmethod
    def is_initialized() -> bool:
        return False


def test_without_the_package_the_error_says_how_to_get_it(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    real_import = builtins.__import__

    def without_ray(name: str, *args: Any, **kwargs: Any) -> Any:
        if name == "ray":
            raise ModuleNotFoundError("No module named 'ray'")
        return real_import(name, *args, **kwargs)

    monkeypatch.delitem(sys.modules, "ray", raising=False)
    monkeypatch.setattr(builtins, "__import__", without_ray)
    with pytest.raises(DetectorError, match=r"pip install 'object-relation-network\[ray\]'"):
        import_ray()
