"""What lies in a clip store, for comparisons."""

import json
from pathlib import Path
from typing import Any

import h5py
import numpy as np

from orn.stage2_train.clip_store.clip_store import ClipStore


def store_content(path: Path) -> dict[str, Any]:
    """All that a training reads of a clip store: each video, and its settings and failures."""
    store = ClipStore(path)
    content: dict[str, Any] = {"": (store.settings, store.failed)}
    for name in sorted(store.ids):
        frames = store.frames(name)
        pictures = frames.read(np.arange(len(frames))).tobytes()
        known = frames.source_digest, (frames.video.height, frames.video.width), frames.video.times
        content[name] = (*known, frames.seconds.tolist(), pictures)
    return content


def clip_record(path: Path) -> Any:
    """The record of a file of a clip store, as JSON has it."""
    with h5py.File(path) as file:
        return json.loads(bytes(file["record"][:]))
