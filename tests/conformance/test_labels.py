"""Label files that can be read and do not make sense: file, row and value are named."""

from pathlib import Path

import pytest

from orn.data_manifests.load import load_dataset
from orn.shared.errors import ManifestError
from tests.conformance.datasets import array, write_dataset


@pytest.mark.parametrize(
    ("kind", "name", "content", "message"),
    [
        ("table", "labels.csv", b"video,label\na,opne", "row 2.*'opne'.*'open'"),
        ("table", "labels.csv", b"video,label,split\na,open,vall", "row 2.*'vall'"),
        ("table", "labels.csv", b"video,label\na,open\na,close", "row 3.*'a' twice"),
        ("table", "labels.csv", b"video,label,start,stop\na,open,2,1", "row 2.*stop after start"),
        ("table", "labels.csv", b"video,label\n,open", "row 2: column 'video'"),
        ("vlog", "meta/splitId.txt", b"0\n", "expected one number for each"),
        ("vlog", "meta/splitId.txt", b"0\n7\n", "row 2.*'7'"),
        ("vlog", "meta/hand_object/hand_object.npy", array([0, 0]), "shape"),
        ("vlog", "meta/hand_object/hand_object.npy", array([0, 0], [0, 2]), "2 in row 1, column 1"),
        ("something", "labels/train.json", b'[{"id": "../2"}]', "row 1: id.*path"),
        ("something", "labels/labels.json", b'{"a": "0", "b": "2"}', "each index from 0 to 1"),
    ],
)
def test_wrong_labels_are_named(tmp_path, kind, name, content, message) -> None:
    root = write_dataset(tmp_path, kind, {f"mine/{name}": content})
    with pytest.raises(ManifestError, match=f"{Path(name).name}.*{message}"):
        load_dataset(root / "m.toml", root)
