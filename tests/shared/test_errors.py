"""The tree of errors: fields, messages, exit codes, and the way out of a worker process."""

import ast
import pickle
from collections.abc import Iterator
from pathlib import Path

import pytest

from orn.shared import errors
from orn.shared.errors import PipelineError, VideoDecodeError

ALL = [var for var in vars(errors).values() if isinstance(var, type)]
ROOT = Path(__file__).parents[2]
CUTS = {"removeprefix", "removesuffix", "replace", "partition", "rpartition", "split"}
CUTS |= {"splitlines", "startswith", "endswith"}
RAISED_ELSEWHERE = {"stage2_train/clips/batches.py"}
"""Files that cut the text of an error which has lost its fields: PyTorch raises it again."""


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


def test_a_message_stands_alone_or_between_where_and_remedy() -> None:
    alone = PipelineError("clip 7: broken")
    assert str(alone) == alone.reason == "clip 7: broken"
    parts = PipelineError("broken", where="clip 7", remedy="replace it")
    assert str(parts) == "clip 7: broken; replace it"


def test_messages_are_one_printable_line() -> None:
    message = str(VideoDecodeError("cannot be opened\nby FFmpeg", where="caf\udce9/\x1b[31mr.mp4"))
    assert message == r"caf\udce9/\x1b[31mr.mp4: cannot be opened by FFmpeg"


def test_no_file_cuts_the_text_of_an_error() -> None:
    folders = ("data_manifests", "orn", "shared", "stage1_detect", "stage2_train")
    paths = [path for folder in folders for path in sorted((ROOT / folder).rglob("*.py"))]
    cutting = {str(path.relative_to(ROOT)) for path in paths if any(_cuts(path))}
    assert cutting == RAISED_ELSEWHERE


def _cuts(path: Path) -> Iterator[ast.Call]:
    """Yield the calls that cut the text of an error of this project where it is caught."""
    ours = {error_class.__name__ for error_class in ALL}
    for handler in ast.walk(ast.parse(path.read_text())):
        if not isinstance(handler, ast.ExceptHandler) or handler.type is None:
            continue
        if not ours & _names(handler.type):
            continue
        texts = {handler.name}
        for node in ast.walk(handler):
            if isinstance(node, ast.Assign) and texts & _names(node.value):
                texts |= set.union(*map(_names, node.targets))
            is_method = isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute)
            if is_method and node.func.attr in CUTS and texts & _names(node.func.value):
                yield node


def _names(node: ast.AST) -> set[str]:
    return {part.id for part in ast.walk(node) if isinstance(part, ast.Name)}
