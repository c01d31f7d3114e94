"""Print the tables of docs/results.md about real videos, from the records of `real_videos.py`.

    python benchmarks/experiments/real_report.py jhmdb
    python benchmarks/experiments/real_report.py jhmdb --official test # test clips of split 1

N clips that are evaluated, A activities, R bootstrap draws.
"""

import argparse
import base64
import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from real_videos import BASELINE, FOLDS, RECORDS, SETS, SYSTEMS, record_path

from orn.stage2_train.evaluation.intervals import (
    bootstrap_figures,
    paired_differences,
    with_interval,
)

Hits = Mapping[str, NDArray[np.float64]]
"""Fraction of the seeds with which each of N clips is classified correctly, by row of a table."""
BOTH, NETWORK_AND_FOREST = "both heads", "both heads and forest"
CONTRASTS = (
    *((BOTH, "activity head"), (BOTH, "object head"), (BOTH, "forest"), (BOTH, "probe")),
    *((NETWORK_AND_FOREST, BOTH), (NETWORK_AND_FOREST, "forest")),
    (NETWORK_AND_FOREST, "forest and probe"),
    *((BOTH, system) for system in SYSTEMS if system != "small"),
)
"""Compared rows, named before the first training."""
_MOST_SEEDS = 10


def report(name: str, official: str | None) -> None:
    """Print the top-1 of all rows and the contrasts, with intervals over groups."""
    clips = json.loads((RECORDS / f"{name}-clips.json").read_text())
    rows_N = np.concatenate([np.flatnonzero(np.array(clips[fold]) == "test") for fold in FOLDS])
    kept_N = np.ones(len(rows_N), np.bool_)
    if official is not None:
        kept_N = np.isin(np.array(clips["official"])[rows_N], official.split(","))
    names = sorted(set(clips["label"]))
    labels_N = np.array([names.index(label) for label in clips["label"]])[rows_N]
    groups = [clips["group"][row] for row in rows_N[kept_N]]
    hits = {row: value_N[kept_N] for row, value_N in _hits(name, labels_N, len(names))}
    print(f"{name}: {kept_N.sum()} clips of {len(set(groups))} groups")
    for row, value_N in hits.items():
        print(f"  {row:36} {_share(value_N, groups)}")
    for first, second in CONTRASTS:
        if first in hits and second in hits:
            print(f"  {f'{first} over {second}':60} {_gain(hits[second], hits[first], groups)}")


def _hits(
    name: str, labels_N: NDArray[np.int64], number: int
) -> Iterator[tuple[str, NDArray[np.float64]]]:
    """Yield the rows of the table."""
    baseline = _logits(name, BASELINE, 0, number)
    hits: dict[str, list[NDArray[np.bool_]]] = {}

    def add(row: str, scores_NA: NDArray[np.float64]) -> None:
        hits.setdefault(row, []).append(scores_NA.argmax(axis=1) == labels_N)

    if baseline is not None:
        chances = {part: _softmax(logits_NA) for part, logits_NA in baseline.items()}
        for part, chance_NA in chances.items():
            add(part, chance_NA)
        if len(chances) > 1:
            add("forest and probe", np.prod([*chances.values()], axis=0))
    for system in SYSTEMS:
        for seed in range(_MOST_SEEDS):
            logits = _logits(name, system, seed, number)
            if logits is None:
                continue
            both_NA = np.mean([*logits.values()], axis=0)
            add(BOTH if system == "small" else system, both_NA)
            if system == "small":
                for head, logits_NA in logits.items():
                    add(f"{head} head", logits_NA)
                if baseline is not None:
                    add(NETWORK_AND_FOREST, _softmax(both_NA) * chances["forest"])
                    add("both heads, forest and probe",
                        _softmax(both_NA) * np.prod([*chances.values()], axis=0))  # fmt: skip
    for row, of_seeds in hits.items():
        yield f"{row}", np.mean(of_seeds, axis=0)


def _logits(
    name: str, system: str, seed: int, number: int
) -> dict[str, NDArray[np.float64]] | None:
    """Return the (N, A) logits of each head over all folds; None unless all have a record."""
    paths = [record_path(name, system, seed, fold) for fold in FOLDS]
    if not all(path.exists() for path in paths):
        return None
    parts = [json.loads(path.read_text())["logits_float16"] for path in paths]
    return {
        head: np.concatenate(
            [np.frombuffer(base64.b64decode(part[head]), np.float16).reshape(-1, number)
             for part in parts]
        ).astype(np.float64)
        for head in parts[0]
    }  # fmt: skip


def _softmax(logits_NA: NDArray[np.float64]) -> NDArray[np.float64]:
    shifted_NA = np.exp(logits_NA - logits_NA.max(axis=1, keepdims=True))
    chances_NA: NDArray[np.float64] = shifted_NA / shifted_NA.sum(axis=1, keepdims=True)
    return chances_NA


@dataclass(frozen=True, slots=True)
class _Means:
    """The mean of a row of N values, as a function of the clips drawn."""

    values_1N: NDArray[np.float64]

    def figures(self, counts_NR: NDArray) -> NDArray[np.float64]:
        means_1R: NDArray[np.float64] = (self.values_1N @ counts_NR) / counts_NR.sum(axis=0)
        return means_1R


def _share(values_N: NDArray[np.float64], groups: Sequence[str]) -> str:
    """Return a mean in percent with its 95 % interval over groups."""
    ((draws_R,),) = bootstrap_figures([_Means(values_N[None])], groups)
    return _text(with_interval(values_N.mean(), draws_R, num_groups=len(set(groups))), "value")


def _gain(before_N: NDArray, after_N: NDArray, groups: Sequence[str]) -> str:
    """Return the difference of two means in points with its 95 % interval over groups."""
    (gain,) = paired_differences(_Means(before_N[None]), _Means(after_N[None]), groups)
    return _text(gain, "difference", sign="+")


def _text(figure: Mapping[str, float | None], name: str, *, sign: str = "") -> str:
    value, low, high = (100 * (figure[key] or 0.0) for key in (name, "low", "high"))
    return f"{value:{sign}5.1f} [{low:{sign}.1f}, {high:{sign}.1f}]"


def main() -> None:
    """Parse the command line."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("name", choices=SETS)
    parser.add_argument("--official", help="only clips of these parts of the official split")
    options = parser.parse_args()
    report(options.name, options.official)


if __name__ == "__main__":
    main()
