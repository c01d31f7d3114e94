"""How many threads compute and on which device, that help is quick, and limits of options."""

import pytest

from orn.stage2_train.settings import resources
from orn.stage2_train.settings.resources import DataAndDevice


@pytest.mark.parametrize(
    ("asked", "variable", "workers", "jobs", "expected"),
    [
        (None, None, 0, 1, 8),
        (None, None, 3, 1, 5),
        (None, None, 9, 1, 1),
        (None, "2", 0, 1, 2),
        (None, "none", 0, 1, 8),
        (5, "2", 3, 4, 5),
    ],
)
def test_threads_are_the_cores_that_are_left(
    asked, variable, workers, jobs, expected, monkeypatch
) -> None:
    monkeypatch.setattr(resources, "usable_cores", lambda: 8)
    monkeypatch.delenv("OMP_NUM_THREADS", raising=False)
    if variable is not None:
        monkeypatch.setenv("OMP_NUM_THREADS", variable)
    assert DataAndDevice(threads=asked, workers=workers).num_threads(jobs=jobs) == expected
