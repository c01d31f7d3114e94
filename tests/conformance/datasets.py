"""A small data set of every format of labels, and its manifest `m.toml`."""

import io
import json
from collections.abc import Mapping
from pathlib import Path

import numpy as np

from tests.shared.manifests.conftest import MANIFEST, TABLE

HEAD = MANIFEST.partition("[labels]")[0]
EPIC_ROWS = (
    "uid,narration_id,participant_id,video_id,start_timestamp,stop_timestamp,verb_class,"
    'noun_class,all_noun_classes\n0,n0,P01,P01_01,00:00:00.14,00:00:03.37,1,1,"[1, 0]"\n'
)
CLIPS = [{"id": "1", "template": "Opening [something]"}, {"id": "2", "template": "Closing it"}]


def matrix() -> bytes:
    """A label matrix of two clips and two classes."""
    file = io.BytesIO()
    np.save(file, np.array([[1, -1], [0, 1]], np.int8))
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
        "mine/meta/hand_object/hand_object.npy": matrix(),
    },
    "epic100": {
        "m.toml": (
            HEAD.replace("single-label", "multi-label").replace("top1", "map")
            + '[labels]\nformat = "epic100"\ntarget = "noun"\ntrain = "t"\nvalidation = "u"\n'
            'verbs = "v"\nnouns = "n"\n'
        ).encode(),
        "mine/t": EPIC_ROWS.encode(),
        "mine/u": EPIC_ROWS.replace("n0", "n1").encode(),
        "mine/v": b"id,key\n0,take\n1,put\n",
        "mine/n": b"id,key\n0,pan\n1,door\n",
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
