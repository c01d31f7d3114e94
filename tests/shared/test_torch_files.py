"""Files of torch.save from others: checked before they are believed, hostile ones refused."""

import os
import zipfile
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from orn.shared.errors import CheckpointError
from orn.shared.torch_files import read_torch_file, tensors_in
from tests.bounded import refusals

CONTENT: dict[str, Any] = {
    "model": {"weight": torch.arange(6.0).reshape(2, 3), "count": torch.tensor(3)},
    "numbers": {0: [1.5, None, True, "text"]},
}


def read(path: Path, **options: Any) -> Any:
    return read_torch_file(path, what="weights", **options)


def saved(path: Path, content: Any = CONTENT) -> Path:
    torch.save(content, path)
    return path


def with_pickle(path: Path, content: bytes) -> Path:
    """An archive of torch's with another pickle, without a seal."""
    with zipfile.ZipFile(saved(path)) as archive:
        entries = {name: archive.read(name) for name in archive.namelist()}
    with zipfile.ZipFile(path, "w") as archive:
        for name, old in entries.items():
            archive.writestr(name, content if name.endswith("/data.pkl") else old)
    return path


@pytest.mark.parametrize("archive", [True, False])
def test_what_torch_writes_is_read(archive: bool, tmp_path: Path) -> None:
    torch.save(CONTENT, tmp_path / "x.pt", _use_new_zipfile_serialization=archive)
    tensors = read(tmp_path / "x.pt")
    assert tensors["numbers"] == CONTENT["numbers"]
    weights = tensors_in(tensors["model"])
    assert weights is not None
    assert all(torch.equal(weights[name], tensor) for name, tensor in CONTENT["model"].items())


@given(content=st.binary(max_size=300))
def test_any_pickle_is_a_value_or_refused(tmp_path_factory, content) -> None:
    path = with_pickle(tmp_path_factory.getbasetemp() / "any.pt", b"\x80\x02" + content + b".")
    try:
        read(path)
    except CheckpointError as err:
        assert "weights_only" not in str(err)
    path.write_bytes(content)
    with pytest.raises(CheckpointError):
        read(path)


class Call:
    """A call in a pickle, and what is put into its result."""

    def __init__(self, function: Callable[..., Any], *arguments: Any, **more: Any) -> None:
        self.call = function, arguments, more.get("state"), None, more.get("items")

    def __reduce__(self) -> Any:
        return self.call


def sparse_file(path: Path, begin: bytes) -> Path:
    path.write_bytes(begin)
    os.truncate(path, 1 << 42)
    return path


HOSTILE: dict[str, tuple[Callable[[Path], Path], str]] = {
    "code": (partial(saved, content={"a": Call(os.system, "true")}), "system, which is not"),
    "long pickle": (
        partial(with_pickle, content=b"\x80\x02" + b"]" * (5 << 20) + b"."),
        "contains a pickle of 5,242,883 bytes",
    ),
    "10 TB": (partial(sparse_file, begin=b"PK\3\4"), "is larger than this machine's memory"),
}


def test_hostile_files(tmp_path: Path) -> None:
    """By one process with bounded time and memory."""
    files = [make(tmp_path / f"{name}.pt") for name, (make, _) in HOSTILE.items()]
    for (name, (_, said)), message in zip(HOSTILE.items(), refusals(read, files), strict=True):
        assert said in message
        assert f"{name}.pt: expected weights, got a " in message
        assert "weights_only" not in message


# Of which something is dropped: none of it is made, and nothing grows ---------------------------

ARRAYS = (
    "numpy dtype",
    "numpy ndarray",
    *(f"numpy.{core}.multiarray {name}" for core in ("core", "_core")
      for name in ("_reconstruct", "scalar")),
)  # fmt: skip
"""What pickles of numpy's arrays name."""


@pytest.mark.parametrize("archive", [True, False])
def test_what_is_dropped_is_not_made(archive: bool, tmp_path: Path) -> None:
    arrays = {
        "long": np.arange(1_000_000.0),  # 12 MB of text, more than any pickle may hold else
        "short": [np.array([7], np.uint8), np.array([7], np.uint8), np.float64(3), b"bytes"],
    }
    content = {**CONTENT, "arrays": arrays}
    path = tmp_path / "x.pt"
    torch.save(content, path, _use_new_zipfile_serialization=archive)
    with pytest.raises(CheckpointError, match=r"refers to numpy|a pickle of"):
        read(path)
    tensors = read(path, dropped=ARRAYS)
    assert tensors_in(tensors["model"]) is not None
    assert type(tensors["arrays"]["long"]) is type(tensors["arrays"]["short"][0])
    assert not isinstance(tensors["arrays"]["long"], np.ndarray)
