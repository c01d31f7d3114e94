"""What the settings of the tests promise."""

import os
import warnings

import pytest


@pytest.mark.parametrize("category", [DeprecationWarning, FutureWarning])
def test_deprecations_are_errors_where_our_code_uses_what_is_deprecated(category) -> None:
    with pytest.raises(category):
        warnings.warn("gone with the next release", category, stacklevel=1)


def test_no_test_waits_for_ever(pytestconfig) -> None:
    limits = [float(pytestconfig.getini(name)) for name in ("timeout", "faulthandler_timeout")]
    assert 0 < limits[0] < limits[1] < 600


def test_processes_of_tests_have_one_thread_unless_set() -> None:
    assert int(os.environ["OMP_NUM_THREADS"]) >= 1
