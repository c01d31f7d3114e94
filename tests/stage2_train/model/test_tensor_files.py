"""Files of tensors with a digest: what is written is read, and others are refused.

That no flipped bit is read in silence is in conformance.
"""

import re
from pathlib import Path

import pytest
import safetensors.torch
import torch
from torch import Tensor

from orn.shared.torch_files import mismatch
from orn.stage2_train.model.tensor_files import read_tensors, write_tensors

TENSORS = {
    "weight": torch.randn(4, 3, 3, 3).to(memory_format=torch.channels_last),
    "half": torch.arange(6.0).reshape(2, 3).bfloat16().T,
    "step": torch.tensor(3.0),
    "empty": torch.zeros(0, 5),
    "name of \N{SNOWMAN}": torch.tensor([True, False]),
}
METADATA = {"step": "3", "format": "pt"}


def read(path: Path) -> tuple[dict[str, Tensor], dict[str, str]]:
    return read_tensors(path, what="weights", remedy="copy it again")


def test_what_is_written_is_read_by_anyone(tmp_path: Path) -> None:
    path = tmp_path / "folder" / "x.safetensors"
    write_tensors(path, TENSORS, METADATA)
    tensors, metadata = read(path)
    assert metadata == METADATA
    assert tensors.keys() == TENSORS.keys()
    for name, tensor in tensors.items():
        assert tensor.dtype == TENSORS[name].dtype
        assert torch.equal(tensor, TENSORS[name])
        assert tensor.is_contiguous()
    assert torch.equal(safetensors.torch.load_file(path)["weight"], TENSORS["weight"])


def test_equal_tensors_give_equal_files(tmp_path: Path) -> None:
    """With metadata of any characters, in any order."""
    metadata = {f"name {number} \N{SNOWMAN}\n": '"\\\x7f\x01' for number in range(8)}
    for number in range(8):
        order = sorted(metadata, key=lambda name: hash((name, number)))
        write_tensors(tmp_path / str(number), TENSORS, {name: metadata[name] for name in order})
    assert len({path.read_bytes() for path in tmp_path.iterdir()}) == 1
    assert read(tmp_path / "0")[1] == metadata


@pytest.mark.parametrize(
    ("tensors", "message"),
    [
        ({}, "2 weights are missing, first a"),
        ({"a": torch.zeros(2), "b": torch.zeros(1), "c": torch.zeros(1)}, "unexpected, first c"),
        ({"a": torch.zeros(2, 1), "b": torch.zeros(1)}, r"a: expected shape \(2,\), got \(2, 1\)"),
        ({"a": torch.zeros(2).int(), "b": torch.zeros(1)}, "a: expected dtype float32, got int32"),
        ({"a": torch.zeros(2), "b": torch.tensor([torch.nan])}, "b: expected finite numbers, got"),
        ({"a": torch.zeros(1).expand(1 << 40), "b": torch.zeros(1)}, "a: expected shape"),
    ],
)
def test_what_does_not_fit(tensors: dict[str, Tensor], message: str) -> None:
    assert re.search(message, str(mismatch(tensors, {"a": torch.ones(2), "b": torch.ones(1)})))
