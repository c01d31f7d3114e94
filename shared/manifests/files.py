"""The files of a data set, for commands that must not write over one."""

from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

from orn.shared.errors import PipelineError
from orn.shared.manifests.load import load_listing, load_manifest, locate_videos


def files_of(name_or_file: str | Path, data_root: Path) -> Iterator[Path]:
    """Return the manifest, its tables, and the files or folders of its videos, as far as they can
    be found; a table need not be there."""
    with suppress(PipelineError):
        manifest = load_manifest(name_or_file)
        yield manifest.source
        folder = data_root / manifest.root
        yield from (folder / str(name) for name in manifest.labels.model_dump().values() if name)
        if manifest.videos.rate_table is not None:
            yield folder / manifest.videos.rate_table.table
        listing = load_listing(manifest, data_root, labels=False, partial=True)
        yield from (video.path for video in locate_videos(manifest, listing, data_root).videos)
