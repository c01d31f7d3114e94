"""How many threads compute and on which device, that help is quick, and limits of options."""

import pytest

from orn.stage2_train.settings import resources
from orn.stage2_train.settings.resources import DataAndDevice


@pytest.mark.parametrize(
    ("asked", "variable", "workers", "expected"),
    [
        (None, None, 3, 5),
        (None, None, 9, 1),
        (None, "2", 0, 2),
        (None, "none", 0, 8),
        (5, "2", 3, 5),
    ],
)
def test_threads_are_the_cores_that_are_left(
    asked, variable, workers, expected, monkeypatch
) -> None:
    monkeypatch.setattr(resources, "usable_cores", lambda: 8)
    monkeypatch.delenv("OMP_NUM_THREADS", raising=False)
    if variable is not None:
        monkeypatch.setenv("OMP_NUM_THREADS", variable)
    assert DataAndDevice(threads=asked, workers=workers).num_threads() == expected
