"""What became of an import, for a person and for a program."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any

from shared.shards.schema import FailedVideo
from stage1_detect.imports.matching import Duplicate
from stage1_detect.planning import IMPORT_SUMMARY_NAME

__all__ = ["ImportSummary", "report"]

_SHOWN = 20
"""Files of each kind that the report for a person lists."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ImportSummary:
    """What an import did, and what it could not do."""

    dataset: str
    format: str
    source: str
    out: str
    units: int
    """Units of the plan, each a shard."""
    skipped_units: int
    """Those whose shard was there already."""
    matched: int
    """Listed videos that a file belongs to."""
    ignoring_case: tuple[str, ...]
    """Those of them whose file differs from the listed id in case."""
    unmatched: tuple[str, ...]
    """Files that belong to no listed video."""
    duplicates: tuple[Duplicate, ...]
    """Files of which more than one claims a video."""
    unreadable: tuple[FailedVideo, ...]
    """Videos whose file could not be imported, in earlier runs of the job too."""
    without_masks: int
    """Listed videos without a file."""
    without_video: tuple[str, ...]
    """Videos that were not there, so that no digest of theirs is recorded."""
    known_wrong: tuple[str, ...]
    """Matched videos whose released masks are known to be wrong."""
    frames: int
    """Frames in all shards of the job."""
    detections: int
    """Detections in all shards of the job."""
    seconds: float
    """Time that this run took."""

    @property
    def exit_code(self) -> int:
        """0, or 3 if a file could not be imported or could not be told from another."""
        unsettled = any(not each.is_settled for each in self.duplicates)
        return 3 if self.unreadable or unsettled else 0

    def as_json(self) -> dict[str, Any]:
        """The fields as JSON has them."""
        duplicates = [
            {
                "ids": list(each.ids),
                "files": [str(path) for path in each.files],
                "is_settled": each.is_settled,
            }
            for each in self.duplicates
        ]
        return asdict(self) | {"duplicates": duplicates}


def report(summary: ImportSummary) -> list[str]:
    """Lines that tell a person how the import went."""
    lines = [
        f"{summary.dataset}: {summary.frames} mask frames of {summary.matched} videos, "
        f"{summary.detections} detections; {summary.units} shards in {summary.out}, "
        f"{summary.skipped_units} of them from before",
        f"matched {summary.matched} ({len(summary.ignoring_case)} ignoring case), "
        f"unmatched {len(summary.unmatched)}, duplicates {len(summary.duplicates)}, "
        f"unreadable {len(summary.unreadable)}; listed without masks: {summary.without_masks}",
    ]
    if summary.without_video:
        lines.append(
            f"{len(summary.without_video)} videos are not there, so what their masks belong to is "
            "not recorded; import again with --fresh once they are, or training will refuse them"
        )
    lists = (
        [f"  unmatched: {path}" for path in summary.unmatched],
        [_duplicate_line(each) for each in summary.duplicates],
        [f"  unreadable: {video.id}: {video.reason}" for video in summary.unreadable],
    )
    for rows in lists:
        lines += rows[:_SHOWN]
        if len(rows) > _SHOWN:
            lines.append(f"  ... and {len(rows) - _SHOWN} more ({IMPORT_SUMMARY_NAME} lists all)")
    return lines


def _duplicate_line(duplicate: Duplicate) -> str:
    outcome = "the exact one was taken" if duplicate.is_settled else "none was taken"
    files = ", ".join(str(path) for path in duplicate.files)
    return f"  duplicate: {files} for {', '.join(duplicate.ids)}; {outcome}"
