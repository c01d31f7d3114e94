"""Show the contents of a shard: its summary, a video with masks, or a page."""

import logging
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from orn.data_manifests.load import files_of
from orn.inspection import summary
from orn.inspection.overlay import draw_overlay
from orn.inspection.page.write import check_page_output, write_page
from orn.inspection.shard_videos import ActivityLabels, data_of_shard, labels_of, pictures_of_shard
from orn.shared.errors import SOME_FAILED, ConfigError, PipelineError
from orn.shared.jobs.outputs import check_output_files
from orn.shared.jobs.progress import SILENT, Reporter
from orn.shared.shards.shard import Shard
from orn.shared.shards.shard_folder import files_of_shards
from orn.shared.text_summary import Outcome

logger = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True, kw_only=True)
class InspectConfig:
    """What `inspect_shard` does."""

    shard: Path
    """The shard."""
    video_id: str | None = None
    """Id of the video to draw; may be omitted if the shard has only one."""
    overlay: Path | None = None
    """MP4 file of the drawn video."""
    html: Path | None = None
    """Folder of a page with all frames."""
    score_threshold: float | None = None
    """Minimum score of drawn objects, 0..1; default: that of the detection."""
    dataset: str | None = None
    """Name or file of the manifest; default: the plan's."""
    data_root: Path | None = None
    """Folder of all data sets; default: the plan's, else the manifest's."""

    def __post_init__(self) -> None:
        if self.overlay is not None and self.overlay.suffix.lower() != ".mp4":
            raise ConfigError(f"--overlay: expected OUT.mp4, got {self.overlay}")
        if self.video_id is not None and self.overlay is None:
            raise ConfigError("--video selects the video to draw; pass --overlay OUT.mp4")
        if self.html is not None and self.html.suffix.lower() in (".html", ".htm"):
            raise ConfigError(
                f"--html: expected a folder, got {self.html}; omit {self.html.suffix}"
            )


def inspect_shard(config: InspectConfig, reporter: Reporter = SILENT) -> Outcome:
    """Summarize a shard or draw its masks; the exit code is 3 if a picture is missing under an
    overlay.

    Raises:
        PipelineError: if the shard is damaged, or there is no such video.
    """
    path = config.shard
    shard = Shard(path)
    if config.overlay is None and config.html is None:
        return Outcome(summary.summarize(shard), summary.as_summary)
    check_output_files([config.overlay], reads=_inputs(path, config))
    if config.html is not None:
        check_page_output(config.html)
    pictures = pictures_of_shard(path, config.dataset, config.data_root)
    threshold = config.score_threshold
    if threshold is None:
        threshold = shard.detector.thresholds.get("score", 0)
    made: dict[str, Any] = {}
    if config.overlay is not None:
        out, video_id = config.overlay, config.video_id
        drawn = draw_overlay(shard, pictures, out, video_id, reporter, score_threshold=threshold)
        made = {"overlay": str(out)} | drawn
    if config.html is not None:
        labels = _labels(shard, config)
        page = write_page(
            shard, pictures, config.html, reporter, labels=labels, score_threshold=threshold
        )
        made["html"] = str(page)
    if made.get("gray"):
        message = "a gray background for %d of %d frames: their pictures are missing"
        logger.warning(f"{config.overlay}: {message}", made["gray"], made["frames"])
    paths = "\n".join(made[key] for key in ("overlay", "html") if key in made)
    return Outcome(made, lambda _: paths, exit_code=SOME_FAILED if made.get("gray") else 0)


def _inputs(shard: Path, config: InspectConfig) -> Iterator[Path | None]:
    """Yield the files from which pictures of the shard are made."""

    yield from (shard, *files_of_shards(shard.parent))
    with suppress(PipelineError):  # a corrupt plan
        yield from files_of(*data_of_shard(shard, config.dataset, config.data_root))


def _labels(shard: Shard, config: InspectConfig) -> ActivityLabels:
    """Return the labels of the data set, if it has any."""

    try:
        return labels_of(*data_of_shard(shard.path, config.dataset, config.data_root))
    except PipelineError as err:
        return ActivityLabels(title=f"none: {err}")
