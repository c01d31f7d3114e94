"""Print the tables of docs/results.md about real videos, from the records of `real_videos.py`.

    python experiments/real_report.py
    python experiments/real_report.py --folds  # five folds over all clips

N clips that are evaluated, A activities, F rows, R bootstrap draws.
"""

import argparse
import base64
import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from real_videos import (
    ACTIVITY,
    BOTH,
    CLIPS,
    FAMILIES,
    FOLDS,
    OBJECT,
    OFFICIAL,
    num_seeds,
    record_path,
)

from orn.stage2_train.evaluation.statistics import (
    bootstrap_figures,
    difference_with_interval,
    holm,
    paired,
    with_interval,
)

LATE_FUSION = "late-fusion"
WITH_OBJECT = (
    *("brush_hair", "catch", "golf", "kick_ball", "pick", "pour", "pullup", "push", "shoot_ball"),
    *("shoot_bow", "shoot_gun", "swing_baseball", "throw"),
)
"""Activities with an object, named before anything was measured."""


def report(parts: Sequence[str]) -> None:
    """Print the tables of all families on the test splits of some parts."""
    clips = json.loads(CLIPS.read_text())
    rows_N = np.concatenate([_rows(clips, part) for part in parts])
    names = sorted(set(clips["label"]))
    labels_N = np.array([names.index(each) for each in clips["label"]])[rows_N]
    films_N = [str(clips["film"][row]) for row in rows_N]
    objects_N = np.isin(np.array(clips["label"])[rows_N], [*WITH_OBJECT])
    for family in FAMILIES:
        hits = dict(_hits(family, parts, labels_N))
        if not hits:
            continue
        print(f"\n{family}: {len(labels_N)} clips of {len(set(films_N))} films")
        for name, of_seed in hits.items():
            print(f"  {name:22} {_share(_mean(of_seed, of_seed), films_N)}  {len(of_seed)} seeds")
        _print_contrasts(hits, films_N)
        if family == "heads":
            _print_gains(hits, films_N, objects_N)


def _rows(clips: Mapping[str, Sequence[str]], part: str) -> NDArray[np.int64]:
    """Return the places of the clips in the test split of a part."""
    return np.flatnonzero(np.array(clips[part]) == "test")


def _print_gains(
    hits: Mapping[str, Mapping[int, NDArray[np.bool_]]],
    films_N: Sequence[str],
    objects_N: NDArray[np.bool_],
) -> None:
    """Print the gain of both heads over the activity head in activities with and without objects,
    and the difference of the gains."""
    ours, theirs = hits.get(BOTH.name, {}), hits.get(ACTIVITY.name, {})
    seeds = ours.keys() & theirs.keys()
    if not seeds:
        return
    values_2N = np.stack([_mean(theirs, seeds), _mean(ours, seeds)])
    title = f"  {BOTH.name} over {ACTIVITY.name}"
    for subset, rows in (("with an object", objects_N), ("without", ~objects_N)):
        films = [film for film, row in zip(films_N, rows, strict=True) if row]
        print(f"{title}, {subset:16} {_gain(values_2N[:, rows], films)}")
    gains_2N = np.repeat(values_2N[1:] - values_2N[:1], 2, axis=0)
    weights_2N = np.stack([~objects_N, objects_N])
    print(f"{title}, {'difference':16} {_gain(gains_2N, films_N, weights_2N)}")


def _print_contrasts(
    hits: Mapping[str, Mapping[int, NDArray[np.bool_]]], films_N: Sequence[str]
) -> None:
    """Print the differences between the first system and the others: intervals over films, and
    p values of the t test paired by seed."""
    first, *others = hits
    tests = [
        paired(
            {seed: 100 * hit_N.mean() for seed, hit_N in hits[first].items()},
            {seed: 100 * hit_N.mean() for seed, hit_N in hits[other].items()},
        )
        for other in others
    ]
    adjusted = holm([1.0 if test.p_value is None else test.p_value for test in tests])
    for other, test, p_value in zip(others, tests, adjusted, strict=True):
        seeds = hits[first].keys() & hits[other].keys()
        if seeds:
            values_2N = np.stack([_mean(hits[other], seeds), _mean(hits[first], seeds)])
            gain = _gain(values_2N, films_N)
            pairs = f"p (Holm) {p_value:.3f}, {test.num_pairs} pairs"
            print(f"  {first} over {other:22} {gain}  {pairs}")


def _mean(of_seed: Mapping[int, NDArray[np.bool_]], seeds: Iterable[int]) -> NDArray[np.float64]:
    """Return the fraction of the seeds with which each clip is classified correctly."""
    return np.mean([of_seed[seed] for seed in seeds], axis=0)


@dataclass(frozen=True, slots=True)
class _Means:
    """Weighted means of F rows of N values, as functions of the clips drawn."""

    values_FN: NDArray[np.float64]
    weights_FN: NDArray[np.float64]

    def figures(self, counts_NR: NDArray) -> NDArray[np.float64]:
        sums_FR: NDArray[np.float64] = (self.values_FN * self.weights_FN) @ counts_NR
        return sums_FR / (self.weights_FN @ counts_NR)


def _share(values_N: NDArray[np.float64], films_N: Sequence[str]) -> str:
    """Return a mean in percent with its 95 % interval over films."""
    means = _Means(values_N[None], np.ones((1, len(values_N))))
    ((draws_R,),) = bootstrap_figures([means], films_N)
    return _text(with_interval(values_N.mean(), draws_R, num_groups=len(set(films_N))), "value")


def _gain(
    values_2N: NDArray[np.float64], films_N: Sequence[str], weights_2N: NDArray | float = 1.0
) -> str:
    """Return the mean of the second row minus that of the first in points, with its 95 % interval
    over films."""
    means = _Means(values_2N, np.broadcast_to(weights_2N, values_2N.shape).astype(float))
    (draws_2R,) = bootstrap_figures([means], films_N)
    one, other = means.figures(np.ones((len(films_N), 1)))[:, 0]
    number = len(set(films_N))
    found = difference_with_interval(one, other, draws_2R[1] - draws_2R[0], num_groups=number)
    return _text(found, "difference", sign="+")


def _text(found: Mapping[str, float | None], name: str, *, sign: str = "") -> str:
    value, low, high = (100 * (found[key] or 0.0) for key in (name, "low", "high"))
    return f"{value:{sign}5.1f} [{low:{sign}.1f}, {high:{sign}.1f}]"


def _hits(
    family: str, parts: Sequence[str], labels_N: NDArray[np.int64]
) -> Iterator[tuple[str, dict[int, NDArray[np.bool_]]]]:
    """Yield, for each system, whether each clip is classified correctly, by seed; a seed counts if
    all parts have a record."""
    logits: dict[str, dict[int, NDArray[np.float32]]] = {}
    for system in FAMILIES[family].systems:
        for seed in range(num_seeds(family, parts)):
            paths = [record_path(system, seed, part) for part in parts]
            if all(path.exists() for path in paths):
                found = np.concatenate([_mean_logits(path) for path in paths])
                logits.setdefault(system.name, {})[seed] = found.reshape(len(labels_N), -1)
    if family == "heads" and {ACTIVITY.name, OBJECT.name} <= logits.keys():
        one, other = logits[ACTIVITY.name], logits[OBJECT.name]
        fused = {seed: _log_softmax(one[seed]) + _log_softmax(other[seed])
                 for seed in one if seed in other}  # fmt: skip
        logits[LATE_FUSION] = fused
    for name, of_seed in logits.items():
        yield name, {seed: each.argmax(axis=1) == labels_N for seed, each in of_seed.items()}


def _mean_logits(path: Path) -> NDArray[np.float32]:
    """Return the mean of the heads' logits for the test split of a record, flattened."""
    heads = json.loads(path.read_text())["logits_float16"]["test"]
    arrays = [np.frombuffer(base64.b64decode(text), np.float16) for text in heads.values()]
    mean: NDArray[np.float32] = np.mean([each.astype(np.float32) for each in arrays], axis=0)
    return mean


def _log_softmax(logits_NA: NDArray[np.float32]) -> NDArray[np.float32]:
    shifted_NA = logits_NA - logits_NA.max(axis=1, keepdims=True)
    result: NDArray[np.float32] = shifted_NA - np.log(np.exp(shifted_NA).sum(axis=1, keepdims=True))
    return result


def main() -> None:
    """Parse the command line."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--folds", action="store_true", help="five folds, not split 1")
    report(FOLDS if parser.parse_args().folds else (OFFICIAL,))


if __name__ == "__main__":
    main()
