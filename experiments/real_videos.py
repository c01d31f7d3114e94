"""Train the systems compared on J-HMDB, real videos; `real_report.py` prints the tables.

    python experiments/real_videos.py prepare /disk/jhmdb    # the folder of labels.csv
    python experiments/real_videos.py train heads relations  # families, in this order
    python experiments/real_videos.py train heads --folds    # five folds over all clips, two seeds

`train` runs the trainings of each family that have no record yet in `benchmarks/results/real/`,
one after another. A record is written when a training and its evaluation are finished: settings,
top-1 of each head on the validation and test splits, and all logits in float16. Stop it at any time
and run it again.

A part is a division of the clips into splits: the official split 1, or one of the folds.
"""

import argparse
import base64
import csv
import json
import resource
import shutil
import subprocess
import sys
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from orn.shared.devices import instruction_set
from orn.shared.manifests.folds import fold_names

WORK = Path("runs/real")
RECORDS = Path("benchmarks/results/real")
CLIPS = RECORDS / "clips.json"
RECIPE = "small"
STORED_SIZE = "120x160"
SPLITS = ("validation", "test")
OFFICIAL = "split-1"
NUM_FOLDS = 5
FOLDS = fold_names(NUM_FOLDS)
SEEDS_OF_FOLDS = 2


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
        for seed in range(num_seeds(family, parts)):
            for part in parts:
                for system in FAMILIES[family].systems:
                    if not record_path(system, seed, part).exists():
                        _train(system, seed, part)


def num_seeds(family: str, parts: Sequence[str]) -> int:
    return FAMILIES[family].seeds if parts == (OFFICIAL,) else SEEDS_OF_FOLDS


def _train(system: System, seed: int, part: str) -> None:
    run = WORK / record_path(system, seed, part).stem
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
        "instruction_set": instruction_set(),
        "cpu_seconds": round(seconds),
        "top1": figures,
        "logits_float16": logits,
    }
    path = record_path(system, seed, part)
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


def orn(*words: str) -> None:
    """Run a command of the project; a failure ends the script."""
    subprocess.run([sys.executable, "-m", "orn", *words], check=True)


def _child_seconds() -> float:
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime


def _manifest(part: str) -> Path:
    return WORK / f"{part}.toml"


def record_path(system: System, seed: int, part: str) -> Path:
    return RECORDS / f"{part}-{system.name}-seed{seed}.json"


def main() -> None:
    """Parse the command line."""
    parser = argparse.ArgumentParser(description=__doc__)
    commands = parser.add_subparsers(dest="command", required=True)
    commands.add_parser("prepare").add_argument("source", type=Path)
    of_train = commands.add_parser("train")
    of_train.add_argument("families", nargs="+", choices=FAMILIES)
    of_train.add_argument("--folds", action="store_true", help="five folds, not split 1")
    options = parser.parse_args()
    if options.command == "prepare":
        prepare(options.source)
    else:
        train(options.families, FOLDS if options.folds else (OFFICIAL,))


if __name__ == "__main__":
    main()
