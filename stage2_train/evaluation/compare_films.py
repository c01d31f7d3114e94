"""Two evaluations of the same long videos: paired differences of the figures of found intervals."""

from pathlib import Path
from typing import Any

from orn.shared.errors import ConfigError
from orn.stage2_train.evaluation.bootstrap import paired_differences
from orn.stage2_train.evaluation.decode_films import measured
from orn.stage2_train.evaluation.film_metrics import FilmCounts
from orn.stage2_train.runs.eval_file import EvalFile, read_eval
from orn.stage2_train.runs.film_results import FilmResults, FilmRow
from orn.stage2_train.runs.run_folder import result_paths
from orn.stage2_train.runs.saved_predictions import some_ids
from orn.stage2_train.settings.names import FIGURES


def paired_films(runs: tuple[Path, Path], name: str) -> dict[str, dict[str, float | None]]:
    """Return the differences between two runs in each of `FIGURES`, as `paired_differences` over
    films or their groups.

    Args:
        runs: folders of runs or baselines; differences are the second minus the first.
        name: name of the evaluation.

    Raises:
        CheckpointError: if an evaluation is missing or damaged.
        ConfigError: if films, activities or true intervals differ.
    """
    files = [read_eval(result_paths(run, name)[0]) for run in runs]
    one, other = (_films(file, run) for file, run in zip(files, runs, strict=True))
    where = f"{runs[0]} and {runs[1]}"
    if files[0].classes != files[1].classes:
        raise ConfigError(f"{where}: expected the same activities; evaluate both on the same data")
    rows_of = [{row.video: row for row in own.films} for own in (one, other)]
    differ = sorted(
        video
        for video in rows_of[0].keys() | rows_of[1].keys()
        if len({_truth(rows.get(video)) for rows in rows_of}) > 1
    )
    if differ:
        raise ConfigError(
            f"{where}: expected the same films and true intervals, got differences in "
            f"{some_ids(differ)}; evaluate both on the same data"
        )
    is_multi = files[0].metric == "map"
    number = len(files[0].classes) - (not is_multi)
    counts = [
        FilmCounts.of(measured([rows[video] for video in rows_of[0]]), number, multi_label=is_multi)
        for rows in rows_of
    ]
    groups = [row.group for row in one.films]
    rows = paired_differences(counts[0].figures, counts[1].figures, groups)
    return dict(zip(FIGURES, rows, strict=True))


def _films(file: EvalFile, run: Path) -> FilmResults:
    """Return the films of an evaluation.

    Raises:
        ConfigError: if it is of clips.
    """
    if file.films is None:
        raise ConfigError(
            f"{run}: expected an evaluation of intervals, got one of clips; evaluate both runs on "
            "the same data"
        )
    return file.films


def _truth(row: FilmRow | None) -> Any:
    """Return what two evaluations of a film share; None if it was not evaluated."""
    return row and (row.group, row.end, row.observed, row.true)
