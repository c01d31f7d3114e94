"""Show the contents of a shard: its summary, or a page."""

from dataclasses import dataclass
from pathlib import Path

from orn.inspection import summary
from orn.inspection.page.write import check_page_output, write_page
from orn.inspection.shard_videos import ActivityLabels, data_of_shard, labels_of, pictures_of_shard
from orn.shared.errors import ConfigError, PipelineError
from orn.shared.jobs.progress import SILENT, Reporter
from orn.shared.shards.shard import Shard
from orn.shared.text_summary import Outcome


@dataclass(frozen=True, slots=True, kw_only=True)
class InspectConfig:
    """What `inspect_shard` does."""

    shard: Path
    """The shard."""
    html: Path | None = None
    """Folder of a page with all frames."""
    score_threshold: float | None = None
    """Minimum score of drawn objects, 0..1; default: that of the detection."""
    dataset: str | None = None
    """Name or file of the manifest; default: the plan's."""
    data_root: Path | None = None
    """Folder of all data sets; default: the plan's, else the manifest's."""

    def __post_init__(self) -> None:
        if self.html is not None and self.html.suffix.lower() in (".html", ".htm"):
            raise ConfigError(
                f"--html: expected a folder, got {self.html}; omit {self.html.suffix}"
            )


def inspect_shard(config: InspectConfig, reporter: Reporter = SILENT) -> Outcome:
    """Summarize a shard, or write a page of its frames.

    Raises:
        PipelineError: if the shard is damaged.
    """
    shard = Shard(config.shard)
    if config.html is None:
        return Outcome(summary.summarize(shard), summary.as_summary)
    check_page_output(config.html)
    pictures = pictures_of_shard(config.shard, config.dataset, config.data_root)
    threshold = config.score_threshold
    if threshold is None:
        threshold = shard.detector.thresholds.get("score", 0)
    labels = _labels(shard, config)
    page = write_page(
        shard, pictures, config.html, reporter, labels=labels, score_threshold=threshold
    )
    return Outcome({"html": str(page)}, lambda made: str(made["html"]))


def _labels(shard: Shard, config: InspectConfig) -> ActivityLabels:
    """Return the labels of the data set, if it has any."""

    try:
        return labels_of(*data_of_shard(shard.path, config.dataset, config.data_root))
    except PipelineError as err:
        return ActivityLabels(title=f"none: {err}")
