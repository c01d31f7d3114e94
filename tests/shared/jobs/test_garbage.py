"""The garbage collector is as it was once a block is over."""

import gc
from collections.abc import Iterator

import pytest

from orn.shared.jobs.garbage import uncollected


@pytest.fixture(autouse=True)
def _collecting() -> Iterator[None]:
    yield
    gc.enable()


@pytest.mark.parametrize("enabled", [True, False])
def test_what_was_set_is_set_again(enabled: bool) -> None:
    (gc.enable if enabled else gc.disable)()
    with pytest.raises(ValueError, match="inside"), uncollected():
        assert not gc.isenabled()
        raise ValueError("inside")
    assert gc.isenabled() == enabled
