"""Files of torch.save of which something is dropped: none of it is made, and nothing grows."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from orn.shared.errors import CheckpointError
from orn.shared.tensor_file import read_tensors, tensors_in
from orn.shared.tensors import misfit
from tests.bounded import bounded
from tests.shared.test_tensor_file import CONTENT, Call, doubled, read, saved, with_pickle

ARRAYS = (
    "numpy dtype",
    "numpy ndarray",
    *(f"numpy.{core}.multiarray {name}" for core in ("core", "_core")
      for name in ("_reconstruct", "scalar")),
)  # fmt: skip
"""What pickles of numpy's arrays name."""


def read_dropping(path: Path) -> Any:
    return read_tensors(path, what="weights", dropped=ARRAYS)


@pytest.mark.parametrize("archive", [True, False])
def test_what_is_dropped_is_not_made(archive: bool, tmp_path: Path) -> None:
    arrays = {
        "long": np.arange(1_000_000.0),  # 12 MB of text, more than any pickle may hold else
        "short": [np.array([7], np.uint8), np.array([7], np.uint8), np.float64(3), b"bytes"],
    }
    content = {**CONTENT, "arrays": arrays}
    path = tmp_path / "x.pt"
    torch.save(content, path, _use_new_zipfile_serialization=archive)
    with pytest.raises(CheckpointError, match=r"numpy|bytes beside"):
        read(path)
    found = read_dropping(path)
    assert misfit(tensors_in(found["model"]) or {}, CONTENT["model"]) is None
    assert type(found["arrays"]["long"]) is type(found["arrays"]["short"][0])
    assert not isinstance(found["arrays"]["long"], np.ndarray)


_BEGIN = b"\x80\x02c_codecs\nencode\nq\x00"
_LATIN = b"X\x06\x00\x00\x00latin1q\x01"
_LONG = b"X\x00\x00\x10\x00" + b"a" * (1 << 20) + b"q\x02"
GROWING = {
    "doubled": lambda path: saved(path, {"a": doubled(60)}),
    "the same text": lambda path: with_pickle(
        path, b"\x80\x02](" + _LONG + _BEGIN[2:] + b"h\x02" + _LATIN
        + b"\x86R" + b"h\x00h\x02h\x01\x86R" * 100_000 + b"e.",
    ),
    "the same arguments": lambda path: with_pickle(
        path, _BEGIN + _LONG + _LATIN + b"\x86q\x03R0](" + b"h\x00h\x03R" * 100_000 + b"e.",
    ),
    "another slot": lambda path: with_pickle(
        path, _BEGIN + _LONG + _LATIN + b"\x86R0](h\x00q\x05" + b"h\x05h\x02h\x01\x86R" * 9 + b"e.",
    ),
    "a large array": lambda path: saved(path, {"a": Call(np.ndarray, (1 << 40,))}),
    "many things": lambda path: with_pickle(path, b"\x80\x02" + b"]" * (5 << 20) + b"."),
}  # fmt: skip


def test_nothing_grows_where_things_are_dropped(tmp_path: Path) -> None:
    files = [make(tmp_path / f"{name}.pt") for name, make in GROWING.items()]
    said = bounded(what_is_said, files)
    for name, each in zip(GROWING, said, strict=True):
        if name == "a large array":
            assert each == "read"
        elif name == "many things":
            assert "holds more than 4,194,304 things beside its numbers" in each
        else:
            assert "makes bytes of text otherwise than pickles of bytes do" in each


def what_is_said(files: list[Path]) -> list[str]:
    said = []
    for path in files:
        try:
            read_dropping(path)
            said.append("read")
        except CheckpointError as err:
            said.append(str(err))
    return said
