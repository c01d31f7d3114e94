"""The tree of errors: builtin relatives, exit codes, and the way out of a worker process."""

import pickle

import pytest

from orn.shared import errors
from orn.shared.errors import PipelineError, VideoDecodeError

ALL = [var for var in vars(errors).values() if isinstance(var, type)]


@pytest.mark.parametrize("error_class", ALL)
def test_errors_survive_pickling(error_class: type[PipelineError]) -> None:
    error = pickle.loads(pickle.dumps(error_class("clip 7: broken")))
    assert type(error) is error_class
    assert str(error) == "clip 7: broken"
    assert isinstance(error, PipelineError)


def test_messages_are_one_printable_line() -> None:
    message = str(VideoDecodeError("caf\udce9/\x1b[31mred.mp4: cannot be opened\nby FFmpeg"))
    assert message == r"caf\udce9/\x1b[31mred.mp4: cannot be opened by FFmpeg"
