"""Videos whose frames show their own numbers."""

from collections.abc import Callable
from pathlib import Path

import pytest

from tests.worlds.videos import write_numbered

VideoWriter = Callable[..., Path]


@pytest.fixture
def write_video() -> VideoWriter:
    """`write_numbered`: `write_video(path, num_frames, ...)`."""
    return write_numbered
