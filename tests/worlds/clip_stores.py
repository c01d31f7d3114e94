"""Clip stores, and what lies in them, for comparisons."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from orn.data_manifests.records import Video
from orn.shared.jobs.run_units import IN_THIS_PROCESS, Engine
from orn.stage2_train.clip_store import make_clips
from orn.stage2_train.clip_store.clip_store import ClipStore
from orn.stage2_train.clip_store.plan_store import StoreRequest
from orn.stage2_train.clip_store.store_format import StoreSettings


def store_content(path: Path) -> dict[str, Any]:
    """All that a training reads of a clip store: each video, and its settings and failures."""
    store = ClipStore(path)
    content: dict[str, Any] = {"": (store.settings, store.failed)}
    for name in sorted(store.ids):
        frames = store.frames(name)
        pictures = frames.read(np.arange(len(frames))).tobytes()
        known = frames.source_digest, (frames.video.height, frames.video.width), frames.video.times
        motion = frames.motion(np.arange(len(frames))).tobytes() if store.settings.motion else b""
        content[name] = (*known, frames.seconds.tolist(), pictures, motion)
    return content


def build_clip_store(
    videos: Sequence[Video],
    path: Path,
    settings: StoreSettings,
    engine: Engine = IN_THIS_PROCESS,
    **more: Any,
) -> dict[str, Any]:
    """Store videos; the summary."""
    request = StoreRequest(path=path, settings=settings, videos=videos, **more)
    return make_clips.build_clip_store(request, engine)
