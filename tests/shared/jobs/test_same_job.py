"""What differs between the settings of a job and those asked for."""

import pytest

from orn.shared.errors import ClipStoreError, ConfigError
from orn.shared.jobs.same_job import check_same_job, differences


@pytest.mark.parametrize(
    ("found", "wanted", "expected"),
    [
        ({"a": 1, "b": [1, 2]}, {"b": [1, 2], "a": 1}, []),
        ({"a": 1}, {"a": 2}, ["a is 1 there, 2 asked for"]),
        ({"a": {"b": 1}}, {"a": {"b": 1, "c": 2}}, ["a.c is None there, 2 asked for"]),
        ({"a": [1, 2]}, {"a": [1, 5]}, ["a[1] is 2 there, 5 asked for"]),
        ({"a": "x" * 99}, {"a": 1}, [f"a is '{'x' * 56}... there, 1 asked for"]),
    ],
)
def test_differences(found, wanted, expected) -> None:
    assert differences(found, wanted) == expected


def test_the_error_names_the_place_and_what_to_do() -> None:
    check_same_job({"a": 1}, {"a": 1}, place="out/plan.json")
    with pytest.raises(ConfigError, match=r"out/plan\.json: .*--fresh"):
        check_same_job({"a": 1}, {"a": 2}, place="out/plan.json")
    options = {"remedy": "give another --run", "error": ClipStoreError}
    with pytest.raises(ClipStoreError, match=r"; give another --run$"):
        check_same_job({"a": 1}, {"a": 2}, place="run", **options)
