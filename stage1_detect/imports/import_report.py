"""The report and the exit code of an import, from its summary (`job.import_objects`)."""

from collections.abc import Mapping, Sequence
from typing import Any

from orn.shared.errors import SOME_FAILED
from orn.shared.shards.shard_format import IMPORT_SUMMARY_NAME
from orn.shared.text import counted
from orn.shared.text_report import Report, first_rows

_NAMED = 5
"""Maximum number of videos without a file that the note names."""
_LISTED = 20
"""Maximum number of rows of a table."""


def exit_code(summary: Mapping[str, Any]) -> int:
    """Return 0, or 3 if a video could not be imported or its match is ambiguous."""
    return SOME_FAILED if summary["unreadable"] or summary["ambiguous"] else 0


def report(summary: Mapping[str, Any]) -> Report:
    """Return the report of an import."""
    without_video = summary["without_video"]
    existing, loosely = summary["skipped_units"], len(summary["ignoring_case"])
    classes = counted(summary["classes"], "class", "classes")
    facts = [
        ("data set", summary["dataset"]),
        ("frames", f"{summary['frames']:,}"),
        ("objects", f"{summary['detections']:,} of {classes}"),
        ("shards", f"{summary['units']:,} in {summary['out']} ({existing:,} already existed)"),
        ("matched", f"{summary['matched']} ({loosely} ignoring case or extension)"),
        *((name, str(len(summary[name]))) for name in ("unmatched", "ambiguous", "unreadable")),
        ("dropped", counted(sum(each["number"] for each in summary["left_out"]), "object")),
        ("without objects", f"{summary['without_objects']} of the listed videos"),
    ]
    lists: dict[tuple[str, ...], Sequence[tuple[str, ...]]] = {
        ("unmatched",): [(each,) for each in summary["unmatched"]],
        ("ambiguous",): [(each,) for each in summary["ambiguous"]],
        ("unreadable", "reason"): [(each["id"], each["reason"]) for each in summary["unreadable"]],
        ("dropped from", "objects", "reason", "first"): [
            (each["id"], f"{each['number']:,}", each["reason"], each["first"])
            for each in summary["left_out"]
        ],
    }
    tables = [
        first_rows(header, rows, most=_LISTED, all_in=IMPORT_SUMMARY_NAME)
        for header, rows in lists.items()
    ]
    note = (
        f"{counted(len(without_video), 'video has', 'videos have')} no file "
        f"({', '.join(without_video[:_NAMED])}), so their objects cannot be used for training; add "
        "the files and import again with --fresh"
    )
    return Report(facts=facts, tables=tables, notes=[note] if without_video else [])
