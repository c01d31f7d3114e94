"""A small data set of every format of labels, and its manifest `m.toml`."""

import io
import json
from collections.abc import Mapping
from pathlib import Path

import numpy as np

from tests.data_manifests.conftest import MANIFEST, TABLE

HEAD = MANIFEST.partition("[labels]")[0]
CLIPS = [{"id": "1", "template": "Opening [something]"}, {"id": "2", "template": "Closing it"}]


def array(*rows: list[int]) -> bytes:
    """A file of NumPy's with a matrix."""
    file = io.BytesIO()
    np.save(file, np.array(rows))
    return file.getvalue()


DATASETS: dict[str, dict[str, bytes]] = {
    "table": {
        "m.toml": MANIFEST.encode(),
        "mine/labels.csv": TABLE.encode(),
        "mine/classes.txt": b"open\nclose\n",
    },
    "vlog": {
        "m.toml": (HEAD + '[labels]\nformat = "vlog"\n')
        .replace("single-label", "multi-label")
        .replace("top1", "map")
        .encode(),
        "mine/meta/manifest.txt": b"O/a/1/\nO/b/2/\n",
        "mine/meta/splitId.txt": b"0\n2\n",
        "mine/meta/hand_object/hand_object_labels.txt": b"bag\nbed\n",
        "mine/meta/hand_object/hand_object.npy": array([1, -1], [0, 1]),
    },
    "something": {
        "m.toml": (HEAD + '[labels]\nformat = "something"\n').encode(),
        "mine/labels/train.json": json.dumps(CLIPS[:1]).encode(),
        "mine/labels/validation.json": json.dumps(CLIPS[1:]).encode(),
        "mine/labels/labels.json": b'{"Opening something": "0", "Closing it": "1"}',
    },
}


def write_dataset(folder: Path, kind: str, changes: Mapping[str, bytes] | None = None) -> Path:
    """Writes the files of a data set, some with other contents; returns the folder, which is its
    data root."""
    for name, content in {**DATASETS[kind], **(changes or {})}.items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content)
    return folder
