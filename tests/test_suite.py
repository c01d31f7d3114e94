"""What the settings of the tests promise."""

import warnings

import pytest

from tests.conftest import SLOW_SECONDS


@pytest.mark.parametrize("category", [DeprecationWarning, FutureWarning])
def test_deprecations_are_errors_where_our_code_uses_what_is_deprecated(category) -> None:
    with pytest.raises(category):
        warnings.warn("gone with the next release", category, stacklevel=1)


def test_no_test_waits_for_ever(pytestconfig) -> None:
    usual, last = (float(pytestconfig.getini(key)) for key in ("timeout", "faulthandler_timeout"))
    assert 0 < usual < SLOW_SECONDS < last < 1500
