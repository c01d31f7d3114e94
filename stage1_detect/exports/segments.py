"""The time ranges of the videos of one split."""

from pathlib import Path

from shared.errors import ManifestError
from shared.manifests.load import load_listing
from shared.manifests.schema import Manifest

__all__ = ["ranges_of_split"]


def ranges_of_split(
    manifest: Manifest, data_root: Path, split: str
) -> dict[str, list[tuple[float | None, float | None]]]:
    """For each video with a segment of the split its segments' start and stop in seconds.

    Raises:
        ManifestError: if the label tables have no segment of the split.
        DataRootError: if a table is not there.
    """
    listing = load_listing(manifest, data_root, labels=False)
    ranges: dict[str, list[tuple[float | None, float | None]]] = {}
    for segment in listing.segments:
        if segment.split == split:
            bounds = (segment.start_seconds, segment.stop_seconds)
            ranges.setdefault(segment.video_id, []).append(bounds)
    if not ranges:
        raise ManifestError(
            f"data set {manifest.name!r}: wanted segments of the split {split!r}, its label tables "
            f"list {len(listing.segments)} segments and none of it"
        )
    return ranges
