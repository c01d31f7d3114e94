"""What `orn clips` was asked for, resolved against the manifest."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from shared.manifests.load import load_dataset
from shared.manifests.records import Dataset
from stage2_train.clips.schema import StoreSettings
from stage2_train.clips.writer import build_clip_store, remaining_videos

__all__ = ["ClipsRequest", "describe_clips", "make_clips"]


@dataclass(frozen=True, slots=True, kw_only=True)
class ClipsRequest:
    """What to store; None takes the default."""

    manifest: str
    """Name or file of the manifest."""
    data_root: Path
    """Folder under which data sets lie."""
    out: Path | None = None
    """The store."""
    size: tuple[int, int] | None = None
    """(height, width) of the stored frames."""
    quality: int = 92
    """JPEG quality."""
    workers: int = 1
    """Processes that decode."""
    limit: int | None = None
    """Only the first so many videos."""
    fresh: bool = False
    """Whether to throw away what is there."""


def make_clips(request: ClipsRequest) -> dict[str, Any]:
    """Stores the frames and says what was done; see `build_clip_store`."""
    dataset = load_dataset(request.manifest, request.data_root, labels=False)
    report = build_clip_store(
        dataset.videos[: request.limit],
        _path(request, dataset),
        _settings(request, dataset),
        workers=request.workers,
        fresh=request.fresh,
    )
    return {
        "path": str(report.path),
        "added": report.num_added,
        "present": report.num_present,
        "frames": report.num_frames,
        "missing": len(dataset.missing),
        "failed": [{"id": row.id, "reason": row.reason} for row in report.failed],
    }


def describe_clips(request: ClipsRequest) -> dict[str, Any]:
    """What `make_clips` would do; writes nothing."""
    dataset = load_dataset(request.manifest, request.data_root, labels=False)
    videos = dataset.videos[: request.limit]
    path, settings = _path(request, dataset), _settings(request, dataset)
    left = videos if request.fresh else remaining_videos(videos, path, settings)
    return {
        "path": str(path),
        "size": f"{settings.height}x{settings.width}",
        "quality": settings.jpeg_quality,
        "videos": len(videos),
        "to_do": len(left),
        "missing": len(dataset.missing),
    }


def _path(request: ClipsRequest, dataset: Dataset) -> Path:
    return request.out or Path("clips") / f"{dataset.name}.h5"


def _settings(request: ClipsRequest, dataset: Dataset) -> StoreSettings:
    height, width = request.size or (dataset.clip_height, dataset.clip_width)
    return StoreSettings(height=height, width=width, jpeg_quality=request.quality)
