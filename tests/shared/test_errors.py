"""The tree of errors: fields, messages, exit codes, and the way out of a worker process."""

import pickle
from pathlib import Path

import pytest

from orn.shared import errors
from orn.shared.errors import PipelineError, VideoDecodeError

ALL = [var for var in vars(errors).values() if isinstance(var, type)]


@pytest.mark.parametrize("error_class", ALL)
def test_errors_survive_pickling(error_class: type[PipelineError]) -> None:
    error = error_class(where=Path("clip 7"), expected="a video", got=0, remedy="replace it")
    error.exit_code = 7
    for copy in (error, pickle.loads(pickle.dumps(error))):
        assert type(copy) is error_class
        assert str(copy) == "clip 7: expected a video, got 0; replace it"
        assert copy.reason == "expected a video, got 0; replace it"
        fields = (copy.where, copy.expected, copy.got, copy.remedy, copy.exit_code)
        assert fields == ("clip 7", "a video", "0", "replace it", 7)
        assert isinstance(copy, PipelineError)


def test_messages_are_one_printable_line() -> None:
    message = str(VideoDecodeError("cannot be opened\nby FFmpeg", where="caf\udce9/\x1b[31mr.mp4"))
    assert message == r"caf\udce9/\x1b[31mr.mp4: cannot be opened by FFmpeg"
