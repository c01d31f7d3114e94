"""What can be told of a Ray cluster without one."""

import socket
import sys
from pathlib import Path
from types import SimpleNamespace

import pytest

from orn.shared.errors import ConfigError, PipelineError
from orn.shared.jobs.ray_engine import RayEngine, count_actors, joined_cluster
from tests.shared.jobs.text_work import TextWork, run_texts


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
    if "GPU" not in resources:
        with pytest.raises(ConfigError, match="--device cuda: the Ray cluster has no GPU"):
            count_actors(resources, device="cuda", workers=None)


def test_an_address_where_nothing_listens() -> None:
    with socket.socket() as taken:  # bound, but not listening
        taken.bind(("127.0.0.1", 0))
        address = f"127.0.0.1:{taken.getsockname()[1]}"
        with (
            pytest.raises(ConfigError, match=f"no Ray cluster at {address} .*ray start --head"),
            joined_cluster(SimpleNamespace(is_initialized=lambda: False), address),
        ):
            pass


def test_without_the_package_the_error_says_how_to_get_it(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setitem(sys.modules, "ray", None)  # type: ignore[arg-type]
    message = r"pip install 'object-relation-network\[ray\]'"
    with pytest.raises(PipelineError, match=message):
        run_texts(TextWork(folder=tmp_path / "out"), RayEngine())
    assert not (tmp_path / "out").exists()
