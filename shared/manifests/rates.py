"""The frame rate of each folder of frames: one for all, with exceptions, or a table of them."""

import fnmatch
import math
from collections.abc import Iterable
from pathlib import Path

from shared.errors import ManifestError
from shared.manifests.schema import RateTable, Videos
from shared.manifests.tables import Problems, read_rows

__all__ = ["video_rates"]


def video_rates(spec: Videos, folder: Path, video_ids: Iterable[str]) -> dict[str, float | None]:
    """Frames a second of each video; None where the video file knows.

    Raises:
        DataRootError: if the table of rates is not there.
        ManifestError: if it lacks a video, or a rate in it is none.
    """
    if spec.rate_table is not None:
        return {**_from_table(spec.rate_table, folder, video_ids)}
    return {video_id: _from_patterns(spec, video_id) for video_id in video_ids}


def _from_patterns(spec: Videos, video_id: str) -> float | None:
    for pattern, rate in spec.rates.items():
        if fnmatch.fnmatchcase(video_id, pattern):
            return rate
    return spec.rate


def _from_table(spec: RateTable, folder: Path, video_ids: Iterable[str]) -> dict[str, float]:
    path = folder / spec.table
    problems = Problems(path=path)
    rates: dict[str, float] = {}
    for line, row in read_rows(path, "the rates of videos", columns=(spec.video, spec.rate)):
        rate = _number(row[spec.rate])
        if rate is None:
            problems.add(line, f"wanted {spec.rate} above 0, found {row[spec.rate]!r}")
        else:
            rates[row[spec.video].strip()] = rate
    problems.raise_if_any()
    wanted = list(video_ids)
    lacking = [video_id for video_id in wanted if video_id not in rates]
    if lacking:
        raise ManifestError(
            f"{path}: wanted the rate of each video, found none of {len(lacking)}, "
            f"the first is {lacking[0]!r}"
        )
    return {video_id: rates[video_id] for video_id in wanted}


def _number(cell: str) -> float | None:
    try:
        rate = float(cell)
    except ValueError:
        return None
    return rate if math.isfinite(rate) and rate > 0 else None
