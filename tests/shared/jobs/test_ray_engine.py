"""What can be told of a Ray cluster without one."""

import pytest

from orn.shared.errors import ConfigError
from orn.shared.jobs.ray_engine import count_actors


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
def test_actors_suit_the_cluster(resources, device, workers, expected) -> None:
    assert count_actors(resources, device=device, workers=workers) == expected
    if "GPU" not in resources:
        with pytest.raises(ConfigError, match="--device cuda: the Ray cluster has no GPU"):
            count_actors(resources, device="cuda", workers=None)
