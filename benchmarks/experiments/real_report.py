"""Print the tables of docs/results.md about real videos as Markdown, from the records of
`real_videos.py`.

    python benchmarks/experiments/real_report.py jhmdb ut

Tables of a set with an official split are repeated for its test clips, which chose no recipe, and
for those of them whose group has no clip in another part of this split. Then follow trainings
without a record of each fold.

N clips that are evaluated, S seeds, A activities, R bootstrap draws.
"""

import argparse
import base64
import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from real_videos import BASELINE, FOLDS, RECORDS, SETS, SYSTEMS, record_path
from scipy import stats

from orn.stage2_train.evaluation.bootstrap import (
    bootstrap_figures,
    paired_differences,
    with_interval,
)
from orn.stage2_train.evaluation.calibration_error import calibration_values
from orn.stage2_train.parts.average_parts import PartLogits
from orn.stage2_train.parts.fit_temperatures import cross_fitted
from orn.stage2_train.runs.saved_predictions import Predictions
from orn.steps.ablation_summary import holm

BOTH, NETWORK_AND_FOREST = "both heads", "both heads and forest"
MODEL = "both heads and forest, calibrated"
FOREST_AND_PROBE = "forest and probe"
PAIRLESS = ("within-a-frame", "single-objects")
"""Systems without pairs of objects from two frames."""
CONTRASTS = (
    *((BOTH, "activity head"), (BOTH, "object head"), (BOTH, "forest"), (BOTH, "probe")),
    *((NETWORK_AND_FOREST, BOTH), (NETWORK_AND_FOREST, "forest")),
    (NETWORK_AND_FOREST, FOREST_AND_PROBE),
    *((BOTH, system) for system in SYSTEMS if system != "small"),
    *(PAIRS := tuple(("object head", f"object head, {own}") for own in PAIRLESS)),
)
"""Compared rows, named before the first training. `PAIRS` are tested together over all sets."""
LATER_CONTRASTS = ((FOREST_AND_PROBE, BOTH),)
"""Compared rows, named after results were seen."""
_SEEDS = range(10)


@dataclass(frozen=True, slots=True)
class _Mean:
    """The mean of N values, as a function of the clips drawn."""

    values_N: NDArray[np.float64]

    def figures(self, counts_NR: NDArray) -> NDArray[np.float64]:
        means_1R: NDArray[np.float64] = (self.values_N[None] @ counts_NR) / counts_NR.sum(axis=0)
        return means_1R


@dataclass(frozen=True, slots=True)
class _Results:
    """Results on the test clips of one set, or on some of them."""

    name: str
    groups: NDArray[np.str_]
    right: Mapping[str, NDArray[np.bool_]]
    """(S, N) whether a clip is classified correctly with each seed, by row of the table."""

    def some(self, kept_N: NDArray[np.bool_]) -> "_Results":
        """Return the results on some of the clips."""
        right = {row: right_SN[:, kept_N] for row, right_SN in self.right.items()}
        return _Results(self.name, self.groups[kept_N], right)

    def mean(self, row: str) -> _Mean:
        """Return the mean over seeds of a row."""
        return _Mean(self.right[row].mean(axis=0))

    def score(self, row: str) -> str:
        """Return the top-1 of a row in percent with its 95 % interval over groups."""
        if row not in self.right:
            return "-"
        mean = self.mean(row)
        ((draws_R,),) = bootstrap_figures([mean.figures], self.groups)
        number = len(set(self.groups))
        return _text(with_interval(mean.values_N.mean(), draws_R, num_groups=number), "value")

    def gain(self, first: str, second: str) -> dict[str, float | None] | None:
        """Return the difference of two rows with its 95 % interval over groups; None without a
        row."""
        if not {first, second} <= self.right.keys():
            return None
        return paired_differences(self.mean(second).figures, self.mean(first).figures, self.groups)[
            0
        ]

    def p_value(self, first: str, second: str) -> float | None:
        """Return the two-sided p value of Student's t from which the interval of `gain` is."""
        gain = self.gain(first, second)
        if gain is None or gain["low"] is None or gain["high"] is None:
            return None
        freedom = len(set(self.groups)) - 1
        half = (gain["high"] - gain["low"]) / 2
        score = (gain["high"] + gain["low"]) / 2 / (half / stats.t.ppf(0.975, freedom))
        return float(2 * stats.t.sf(abs(score), freedom))


def report(names: Sequence[str]) -> None:
    """Print the tables of some sets side by side, then those of parts of a set."""
    clips = {name: json.loads((RECORDS / f"{name}-clips.json").read_text()) for name in names}
    results = [_results(name, clips[name]) for name in names]
    _print_tables("All clips", results)
    _print_tests(results)
    _print_calibration(names, clips)
    for of_set in results:
        if "official" not in clips[of_set.name]:
            continue
        official_N = np.array(clips[of_set.name]["official"])[_tested(clips[of_set.name], FOLDS)]
        test_N = official_N == "test"
        alone_N = ~np.isin(of_set.groups, of_set.groups[~test_N])
        _print_tables("Official test clips", [of_set.some(test_N)])
        _print_tables("Official test clips of groups with no other clips", [of_set.some(alone_N)])
    for name in names:
        _print_unfinished(name, clips[name])


def _print_tests(results: Sequence[_Results]) -> None:
    """Print the p values of `PAIRS` on all sets, corrected together."""
    p_values = {
        f"{own.name}: {first} over {second}": p_value
        for first, second in PAIRS
        for own in results
        if (p_value := own.p_value(first, second)) is not None
    }
    for test, p_value in zip(p_values, holm([*p_values.values()]), strict=True):
        print(f"{test}: p = {p_values[test]:.4f}, by Holm {p_value:.4f}")
    print()


def _print_tables(title: str, columns: Sequence[_Results]) -> None:
    sizes = [f"{own.name} {len(own.groups)} of {len(set(own.groups))} groups" for own in columns]
    print(f"## {title} ({', '.join(sizes)})\n")
    _print_row("top-1 in percent", [own.name for own in columns])
    _print_row("---", ["---" for _ in columns])
    for row in dict.fromkeys(row for own in columns for row in own.right):
        seeds = sorted({len(own.right[row]) for own in columns if row in own.right})
        number = "" if seeds == [1] else f" ({' or '.join(map(str, seeds))} seeds)"
        _print_row(row + number, [own.score(row) for own in columns])
    for when, contrasts in (("before", CONTRASTS), ("after", LATER_CONTRASTS)):
        print()
        _print_row(f"difference in points, named {when} the results", [own.name for own in columns])
        _print_row("---", ["---" for _ in columns])
        for pair in contrasts:
            gains = [own.gain(*pair) for own in columns]
            cells = ["-" if gain is None else _text(gain, "difference", sign="+") for gain in gains]
            if set(cells) != {"-"}:
                _print_row(" over ".join(pair), cells)
    print()


def _print_row(name: str, cells: Iterable[str]) -> None:
    print(f"| {' | '.join([name, *cells])} |")


def _print_calibration(names: Sequence[str], clips: Mapping[str, Any]) -> None:
    """Print the calibration of the model on each set, with temperatures of other folds."""
    print("## Calibration, means of seeds; of some predictions, infinite logits count as wrong\n")
    _print_row("set", ["error", "by chance", "log loss", "error before", "log loss before"])
    _print_row("---", ["---"] * 5)
    for name in names:
        labels_N = _labels(clips[name], FOLDS)
        baseline = _heads(name, BASELINE, 0, FOLDS, len(set(clips[name]["label"])))
        of_seeds = []
        for seed in _SEEDS:
            heads = _heads(name, "small", seed, FOLDS, len(set(clips[name]["label"])))
            if heads is None or baseline is None:
                continue
            both_NA = np.mean([*heads.values()], axis=0)
            before, after = (
                calibration_values(
                    Predictions(
                        ids=tuple(map(str, range(len(labels_N)))),
                        labels=labels_N,
                        activity_logits=logits_NA.astype(np.float32),
                        object_logits=None,
                    )
                )
                for logits_NA in _parts(both_NA, baseline["forest"], labels_N, _folds(clips[name]))
            )
            of_seeds.append(
                [
                    100 * after["error"]["value"],
                    100 * after["error_by_chance"],
                    after["log_loss"]["value"],
                    100 * before["error"]["value"],
                    before["log_loss"]["value"],
                ]
            )
        if of_seeds:
            _print_row(name, [f"{value:.2f}" for value in np.mean(of_seeds, axis=0)])
    print()


def _folds(clips: Mapping[str, Any]) -> NDArray[np.str_]:
    """Return the (N,) fold in which each clip is tested."""
    sizes = [(np.array(clips[fold]) == "test").sum() for fold in FOLDS]
    return np.repeat(np.array(FOLDS), sizes)


def _parts(
    network_NA: NDArray[np.float64],
    forest_NA: NDArray[np.float64],
    labels_N: NDArray[np.int64],
    folds_N: NDArray[np.str_],
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Return the (N, A) logits of the model without and with temperatures, each fitted on the other
    folds; of clips without finite logits, those of no class."""
    known_N = np.isfinite(network_NA).all(axis=1) & np.isfinite(forest_NA).all(axis=1)
    logits = PartLogits(
        network=network_NA[known_N].astype(np.float32),
        forest=forest_NA[known_N].astype(np.float32),
    )
    fitted_N3 = cross_fitted(logits, labels_N[known_N], None, groups=folds_N[known_N].tolist())
    both = []
    for temperature_N3 in (np.ones(3), fitted_N3):
        model_NA = np.zeros(network_NA.shape)
        model_NA[known_N] = logits.whole(temperature_N3)
        both.append(model_NA)
    return both[0], both[1]


def _print_unfinished(name: str, clips: Mapping[str, Any]) -> None:
    """Print the scores of trainings without a record of each fold, and `small` on these folds."""
    for system in SYSTEMS:
        for seed in _SEEDS:
            done = [fold for fold in FOLDS if record_path(name, system, seed, fold).exists()]
            if not 0 < len(done) < len(FOLDS):
                continue
            scores = []
            for own in dict.fromkeys((system, "small")):
                heads = _heads(name, own, seed, done, len(set(clips["label"])))
                if heads is not None:
                    guess_N = np.mean([*heads.values()], axis=0).argmax(axis=1)
                    scores.append(f"{own} {100 * (guess_N == _labels(clips, done)).mean():.1f}")
            print(f"{name}, seed {seed}, {', '.join(done)} alone: {', '.join(scores)}")


def _results(name: str, clips: Mapping[str, Any]) -> _Results:
    """Return all rows of the table of a set."""
    number, labels_N = len(set(clips["label"])), _labels(clips, FOLDS)
    right: dict[str, list[NDArray[np.bool_]]] = {}

    def add(row: str, scores_NA: NDArray[np.float64]) -> None:
        is_known_N = np.isfinite(scores_NA).all(axis=1)  # others count as wrong
        right.setdefault(row, []).append((scores_NA.argmax(axis=1) == labels_N) & is_known_N)

    baseline = _heads(name, BASELINE, 0, FOLDS, number) or {}
    chances = {part: _softmax(logits_NA) for part, logits_NA in baseline.items()}
    for part, chance_NA in chances.items():
        add(part, chance_NA)
    if len(chances) > 1:
        add(FOREST_AND_PROBE, np.prod([*chances.values()], axis=0))
    for system in SYSTEMS:
        for seed in _SEEDS:
            heads = _heads(name, system, seed, FOLDS, number)
            if heads is None:
                continue
            both_NA = np.mean([*heads.values()], axis=0)
            add(BOTH if system == "small" else system, both_NA)
            if system in PAIRLESS:
                add(f"object head, {system}", heads["object"])
            if system != "small":
                continue
            for head, logits_NA in heads.items():
                add(f"{head} head", logits_NA)
            if chances:
                add(MODEL, _parts(both_NA, baseline["forest"], labels_N, _folds(clips))[1])
                add(NETWORK_AND_FOREST, _softmax(both_NA) * chances["forest"])
                average_NA = _softmax(both_NA) * np.prod([*chances.values()], axis=0)
                add("both heads, forest and probe", average_NA)
    groups = np.array(clips["group"])[_tested(clips, FOLDS)]
    return _Results(name, groups, {row: np.array(seeds) for row, seeds in right.items()})


def _tested(clips: Mapping[str, Any], folds: Sequence[str]) -> NDArray[np.int64]:
    """Return the (N,) indices of the test clips of some folds, in the order of their records."""
    return np.concatenate([np.flatnonzero(np.array(clips[fold]) == "test") for fold in folds])


def _labels(clips: Mapping[str, Any], folds: Sequence[str]) -> NDArray[np.int64]:
    return np.unique(clips["label"], return_inverse=True)[1][_tested(clips, folds)]


def _heads(
    name: str, system: str, seed: int, folds: Sequence[str], number: int
) -> dict[str, NDArray[np.float64]] | None:
    """Return the (N, A) logits of each head over folds; None unless all have a record."""
    paths = [record_path(name, system, seed, fold) for fold in folds]
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


def _text(figure: Mapping[str, float | None], name: str, *, sign: str = "") -> str:
    value, low, high = (100 * (figure[key] or 0.0) for key in (name, "low", "high"))
    return f"{value:{sign}.1f} [{low:{sign}.1f}, {high:{sign}.1f}]"


def main() -> None:
    """Parse the command line."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("names", nargs="+", choices=SETS)
    report(parser.parse_args().names)


if __name__ == "__main__":
    main()
