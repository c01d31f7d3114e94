"""Compare systems on J-HMDB, real videos: train, record, and print the tables of docs/results.md.

    python experiments/real_videos.py prepare /disk/jhmdb    # the folder of labels.csv
    python experiments/real_videos.py train heads relations  # families, in this order
    python experiments/real_videos.py report
    python experiments/real_videos.py train heads --folds    # five folds over all clips, two seeds
    python experiments/real_videos.py report --folds

`train` runs the trainings of each family that have no record yet in `benchmarks/results/real/`,
one after another. A record is written when a training and its evaluation are finished: settings,
top-1 of each head on the validation and test splits, and all logits in float16. Stop it at any time
and run it again. `report` needs only the records.

A part is a division of the clips into splits: the official split 1, or one of the folds.
N clips that are evaluated, A activities, R bootstrap draws.
"""

import argparse
import base64
import csv
import json
import resource
import shutil
import subprocess
import sys
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from orn.stage2_train.evaluation.statistics import holm, paired

WORK = Path("runs/real")
RECORDS = Path("benchmarks/results/real")
CLIPS = RECORDS / "clips.json"
RECIPE = "small"
STORED_SIZE = "120x160"
SPLITS = ("validation", "test")
OFFICIAL = "split-1"
NUM_FOLDS = 5
FOLDS = tuple(f"fold-{fold}" for fold in range(1, NUM_FOLDS + 1))
SEEDS_OF_FOLDS = 2
LATE_FUSION = "late-fusion"
WITH_OBJECT = (
    *("brush_hair", "catch", "golf", "kick_ball", "pick", "pour", "pullup", "push", "shoot_ball"),
    *("shoot_bow", "shoot_gun", "swing_baseball", "throw"),
)
"""Activities with an object, named before anything was measured."""
_DRAWS = 2000


@dataclass(frozen=True, slots=True, kw_only=True)
class System:
    """A row of a table."""

    name: str
    system: str
    """Value of `--system`."""
    objects: str = "objects"
    """File of objects, without `.json`."""
    settings: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Family:
    """Systems compared with each other over the same seeds."""

    systems: tuple[System, ...]
    """The first one is compared with each of the others."""
    seeds: int


_PARTS = ('model.object_parts=["shape","class"]',)
"""The parts of the recipe, without the appearance that a system of the paper's tables adds."""
BOTH = System(name="both", system="orn", settings=_PARTS)
ACTIVITY = System(name="activity-head", system="activity-head")
OBJECT = System(name="object-head", system="object-head", settings=_PARTS)
WITH_APPEARANCE = System(name="with-appearance", system="orn")
FAMILIES = {
    "heads": Family(systems=(BOTH, ACTIVITY, OBJECT), seeds=5),
    "relations": Family(
        systems=(
            BOTH,
            System(name="within-a-frame", system="coco-intra", settings=_PARTS),
            System(name="single-objects", system="clique-1", settings=_PARTS),
        ),
        seeds=5,
    ),
    "appearance": Family(systems=(BOTH, WITH_APPEARANCE), seeds=3),
    "parts": Family(
        systems=(
            OBJECT,
            System(name="all-parts-object-head", system="object-head"),
            System(name="appearance-object-head", system="coco-visual-object-head"),
            System(name="shape-object-head", system="coco-shape-object-head"),
            System(name="class-object-head", system="coco-class-object-head"),
        ),
        seeds=3,
    ),
    "sources": Family(
        systems=(
            WITH_APPEARANCE,
            System(name="person-masks", system="orn", objects="persons"),
            System(name="whole-frame", system="orn", settings=("data.max_objects=0",)),
        ),
        seeds=3,
    ),
    "start": Family(
        systems=(
            BOTH,
            System(name="random-start", system="orn", settings=(*_PARTS, "initial_weights=random")),
        ),
        seeds=3,
    ),
}


def prepare(source: Path) -> None:
    """Write the manifests, the clip store and the shards in `WORK`, and the list of clips."""
    WORK.mkdir(parents=True, exist_ok=True)
    for name in ("labels.csv", "objects.json", "persons.json"):
        shutil.copyfile(source / name, WORK / name)
    if not (WORK / "videos").exists():
        (WORK / "videos").symlink_to((source / "videos").absolute())
    rows = _rows_of_table("labels.csv")
    with (WORK / "all.csv").open("w") as file:
        table = csv.DictWriter(file, ["video", "label", "group"], extrasaction="ignore")
        table.writeheader()
        table.writerows(rows)
    manifest = _manifest(OFFICIAL)
    _new_manifest("labels.csv", "jhmdb", manifest)
    options = ("--folds", str(NUM_FOLDS), "--group", "group")
    _new_manifest("all.csv", "folds", _manifest(FOLDS[0]), *options)
    text = _manifest(FOLDS[0]).read_text()
    for fold in FOLDS[1:]:
        _manifest(fold).write_text(text.replace(f'split = "{FOLDS[0]}"', f'split = "{fold}"'))
    folds_of = {row["video"]: row for row in _rows_of_table("folds-split.csv")}
    films = sorted({row["group"] for row in rows})
    clips: dict[str, list[object]] = {
        "label": [row["label"] for row in rows],
        "film": [films.index(row["group"]) for row in rows],
        OFFICIAL: [row["split"] for row in rows],
    }
    for fold in FOLDS:
        clips[fold] = [folds_of[row["video"]][fold] for row in rows]
    data = (str(manifest), "--data", str(WORK))
    orn("clips", *data, "--out", str(WORK / "clips"), "--size", STORED_SIZE)
    for name in ("objects", "persons"):
        objects = (str(WORK / f"{name}.json"), "--format", "coco")
        orn("import-objects", data[0], *objects, *data[1:], "--out", str(WORK / name))
    RECORDS.mkdir(parents=True, exist_ok=True)
    CLIPS.write_text(json.dumps(clips))


def _rows_of_table(name: str) -> list[dict[str, str]]:
    with (WORK / name).open() as file:
        return list(csv.DictReader(file))


def _new_manifest(table: str, name: str, out: Path, *options: str) -> None:
    videos = ("--videos", "videos/{id}.mp4", "--name", name, "--out", str(out), "--fresh")
    orn("manifest", "new", str(WORK / table), "--data", str(WORK), *videos, *options)


def train(families: Iterable[str], parts: Sequence[str]) -> None:
    """Run the trainings of the families without a record, seed by seed."""
    for family in families:
        for seed in range(_num_seeds(family, parts)):
            for part in parts:
                for system in FAMILIES[family].systems:
                    if not _record(system, seed, part).exists():
                        _train(system, seed, part)


def _num_seeds(family: str, parts: Sequence[str]) -> int:
    return FAMILIES[family].seeds if parts == (OFFICIAL,) else SEEDS_OF_FOLDS


def _train(system: System, seed: int, part: str) -> None:
    run = WORK / _record(system, seed, part).stem
    settings = [word for each in system.settings for word in ("--set", each)]
    command = (
        *("train", str(_manifest(part)), "--data", str(WORK), "--recipe", RECIPE),
        *("--system", system.system, "--seed", str(seed), *settings),
        *("--shards", str(WORK / system.objects), "--clips", str(WORK / "clips")),
        *("--workers", "0", "--device", "cpu", "--run", str(run)),
    )
    before = _child_seconds()
    orn(*command)
    seconds = _child_seconds() - before
    figures, logits = {}, {}
    for split in SPLITS:
        orn("eval", str(run), "--split", split, "--workers", "0", "--device", "cpu")
        figures[split] = _figures(run / f"eval-{split}.json")
        logits[split] = _logits(run / f"predictions-{split}.npz", part, split)
    record = {
        "system": system.name,
        "seed": seed,
        "part": part,
        "command": ["orn", *command],
        "recipe": json.loads((run / "config.json").read_text())["recipe"],
        "commit": subprocess.check_output(("git", "rev-parse", "HEAD"), text=True).strip(),
        "cpu_seconds": round(seconds),
        "top1": figures,
        "logits_float16": logits,
    }
    path = _record(system, seed, part)
    path.with_suffix(".writing").write_text(json.dumps(record))
    path.with_suffix(".writing").rename(path)
    shutil.rmtree(run)


def _figures(path: Path) -> dict[str, float]:
    report = json.loads(path.read_text())
    heads = ("two_heads", "activity_head", "object_head")
    return {head: round(100 * report[head]["top1"], 2) for head in heads if report.get(head)}


def _logits(path: Path, part: str, split: str) -> dict[str, str]:
    """Return the logits of each head in base64, in the order of the table."""
    with np.load(path) as file:
        arrays = {name: file[name] for name in file.files}
    place_of = {str(name): place for place, name in enumerate(arrays["ids"])}
    clips = json.loads(CLIPS.read_text())
    pairs = zip(_rows_of_table("labels.csv"), clips[part], strict=True)
    rows = [place_of[row["video"]] for row, own in pairs if own == split]
    return {
        name: base64.b64encode(arrays[name][rows].astype(np.float16).tobytes()).decode()
        for name in ("activity_logits", "object_logits")
        if name in arrays
    }


def report(parts: Sequence[str]) -> None:
    """Print the tables of all families on the test splits of some parts."""
    clips = json.loads(CLIPS.read_text())
    rows_N = np.concatenate([_rows(clips, part) for part in parts])
    names = sorted(set(clips["label"]))
    labels_N = np.array([names.index(each) for each in clips["label"]])[rows_N]
    films_N = np.unique(np.array(clips["film"])[rows_N], return_inverse=True)[1]
    objects_N = np.isin(np.array(clips["label"])[rows_N], [*WITH_OBJECT])
    for family in FAMILIES:
        hits = dict(_hits(family, parts, labels_N))
        if not hits:
            continue
        print(f"\n{family}: {len(labels_N)} clips of {films_N.max() + 1} films")
        for name, of_seed in hits.items():
            mean, low, high = _interval(np.mean([*of_seed.values()], axis=0), films_N)
            print(f"  {name:16} {mean:5.1f} [{low:.1f}, {high:.1f}]  {len(of_seed)} seeds")
        _print_contrasts(hits, films_N)
        if family == "heads":
            _print_gains(hits, films_N, objects_N)


def _rows(clips: Mapping[str, Sequence[str]], part: str) -> NDArray[np.int64]:
    """Return the places of the clips in the test split of a part."""
    return np.flatnonzero(np.array(clips[part]) == "test")


def _print_gains(
    hits: Mapping[str, Mapping[int, NDArray[np.bool_]]],
    films_N: NDArray[np.int64],
    objects_N: NDArray[np.bool_],
) -> None:
    """Print the gain of both heads over the activity head in activities with and without objects,
    and the difference of the gains."""
    ours, theirs = hits.get(BOTH.name, {}), hits.get(ACTIVITY.name, {})
    seeds = sorted(ours.keys() & theirs.keys())
    if not seeds:
        return
    gain_N = np.mean([ours[seed].astype(float) - theirs[seed] for seed in seeds], axis=0)
    weights_2N = np.stack([objects_N / objects_N.mean(), ~objects_N / (~objects_N).mean()])
    for title, values_N in (
        ("with an object", gain_N * weights_2N[0]),
        ("without", gain_N * weights_2N[1]),
        ("difference", gain_N * (weights_2N[0] - weights_2N[1])),
    ):
        mean, low, high = _interval(values_N, films_N)
        print(f"  both over activity-head, {title:16} {mean:+5.1f} [{low:+.1f}, {high:+.1f}]")


def _print_contrasts(
    hits: Mapping[str, Mapping[int, NDArray[np.bool_]]], films_N: NDArray[np.int64]
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
        if not seeds:
            continue
        gain_N = np.mean(
            [hits[first][seed].astype(float) - hits[other][seed] for seed in seeds], axis=0
        )
        mean, low, high = _interval(gain_N, films_N)
        print(
            f"  {first} over {other:16} {mean:+5.1f} [{low:+.1f}, {high:+.1f}]  p (Holm) "
            f"{p_value:.3f}, {test.num_pairs} pairs"
        )


def _hits(
    family: str, parts: Sequence[str], labels_N: NDArray[np.int64]
) -> Iterator[tuple[str, dict[int, NDArray[np.bool_]]]]:
    """Yield, for each system, whether each clip is classified correctly, by seed; a seed counts if
    all parts have a record."""
    logits: dict[str, dict[int, NDArray[np.float32]]] = {}
    for system in FAMILIES[family].systems:
        for seed in range(_num_seeds(family, parts)):
            paths = [_record(system, seed, part) for part in parts]
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


def _interval(
    values_N: NDArray[np.float64], films_N: NDArray[np.int64]
) -> tuple[float, float, float]:
    """Return the mean in percent and its 95 % interval: films are drawn with replacement."""
    sums_G = np.bincount(films_N, values_N)
    counts_G = np.bincount(films_N)
    drawn_RG = np.random.default_rng(0).integers(len(sums_G), size=(_DRAWS, len(sums_G)))
    means_R = 100 * sums_G[drawn_RG].sum(axis=1) / counts_G[drawn_RG].sum(axis=1)
    low, high = np.percentile(means_R, (2.5, 97.5))
    return 100 * float(values_N.mean()), float(low), float(high)


def orn(*words: str) -> None:
    """Run a command of the project; a failure ends the script."""
    subprocess.run([sys.executable, "-m", "orn", *words], check=True)


def _child_seconds() -> float:
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime


def _manifest(part: str) -> Path:
    return WORK / f"{part}.toml"


def _record(system: System, seed: int, part: str) -> Path:
    return RECORDS / f"{part}-{system.name}-seed{seed}.json"


def main() -> None:
    """Parse the command line."""
    parser = argparse.ArgumentParser(description=__doc__)
    commands = parser.add_subparsers(dest="command", required=True)
    commands.add_parser("prepare").add_argument("source", type=Path)
    of_train, of_report = commands.add_parser("train"), commands.add_parser("report")
    of_train.add_argument("families", nargs="+", choices=FAMILIES)
    for each in (of_train, of_report):
        each.add_argument("--folds", action="store_true", help="five folds, not split 1")
    options = parser.parse_args()
    if options.command == "prepare":
        prepare(options.source)
        return
    parts = FOLDS if options.folds else (OFFICIAL,)
    if options.command == "train":
        train(options.families, parts)
    else:
        report(parts)


if __name__ == "__main__":
    main()
