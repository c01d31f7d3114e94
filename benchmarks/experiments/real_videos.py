"""Train the systems compared on real videos, by folds; `real_report.py` prints the tables.

    python benchmarks/experiments/real_videos.py prepare jhmdb /disk/jhmdb
    python benchmarks/experiments/real_videos.py prepare robot /disk/robot
    python benchmarks/experiments/real_videos.py train jhmdb small baseline --seeds 2

`train` runs what has no record yet in `benchmarks/results/real/`, one after another: for each seed
and fold, a training and its evaluation, or `orn baseline`. A record holds settings, top-1 and all
logits of the test part in float16. Stop it at any time and run it again.
"""

import argparse
import base64
import csv
import json
import shutil
import subprocess
import time
from collections.abc import Mapping
from pathlib import Path

import numpy as np

from orn.cli import orn as commands
from orn.data_manifests.records import fold_names
from orn.shared.devices import instruction_set

WORK = Path("runs/real")
RECORDS = Path("benchmarks/results/real")
FOLDS = fold_names(5)
SETS: Mapping[str, tuple[str, ...]] = {
    "jhmdb": (),
    "ut": (),
    "metaworld": (),
    "robot": ("--partial",),  # a window without objects
}
"""Options of trainings and evaluations of each set."""
MAPS = ("--backbone", "timm/tf_efficientnet_lite0", "--size", "224x224", "--motion")
BASELINE = "baseline"
_COMMIT = (
    *("git", "-C", str(Path(__file__).parent)),
    *("describe", "--always", "--exclude=*", "--dirty", "--abbrev=40"),
)
_NO_VALIDATION = "data.train_with_validation=true"
"""The recipe chooses no weights by validation, so its clips are used for training."""
SYSTEMS: Mapping[str, tuple[str, ...]] = {
    "small": (),
    "within-a-frame": ("model.relation_frames=same",),
    "single-objects": (
        *("model.relation_frames=same", "model.clique_size=1", "model.pair_geometry=false"),
    ),
    "no-motion": ("model.motion=false",),
    "unscaled": ("model.given_scale=1.0",),
    "no-positions": ('model.object_parts=["appearance","class"]', "model.pair_geometry=false"),
    "no-change": ("model.feature_change=false",),
}
"""Settings of the systems, beside those of the recipe `small`. Both heads are trained together but
share no trained weights, so each head is also a result of its own."""


def prepare(name: str, source: Path) -> None:
    """Write manifests, shards and the clip store with maps to `WORK`, and the list of clips."""
    folder = WORK / name
    folder.mkdir(parents=True, exist_ok=True)
    if not (folder / "videos").exists():
        (folder / "videos").symlink_to((source / "videos").absolute())
    rows = _rows(source / "labels.csv")
    columns = ["video", "label", "group", *(("start", "stop", "id") if "start" in rows[0] else ())]
    for number, row in enumerate(rows):
        row["id"] = f"{row['video']}-{number}" if "start" in row else row["video"]
    with (folder / "labels.csv").open("w") as file:
        table = csv.DictWriter(file, columns, extrasaction="ignore")
        table.writeheader()
        table.writerows(rows)
    manifest, data = _manifest(name, FOLDS[0]), ("--data", str(WORK))
    are_files = rows[0]["video"].startswith("videos/")
    options = ("--videos", "{id}" if are_files else "videos/{id}.mp4")
    folds = ("--folds", str(len(FOLDS)), "--fresh")
    named = (*data, "--name", name, "--out", str(manifest))
    orn("manifest", "new", str(folder / "labels.csv"), *named, *folds, *options)
    for fold in FOLDS[1:]:
        text = manifest.read_text().replace(f'split = "{FOLDS[0]}"', f'split = "{fold}"')
        _manifest(name, fold).write_text(text)
    objects = (str(source / "objects.json"), "--format", "coco", "--out", str(folder / "shards"))
    orn("import-objects", str(manifest), *objects, *data)
    orn("clips", str(manifest), *data, *MAPS, "--out", str(folder / "clips"))
    clips = {"label": [row["label"] for row in rows], "group": [row["group"] for row in rows]}
    if "split" in rows[0]:
        clips["official"] = [row["split"] for row in rows]
    of_video = {row["video"]: row for row in _rows(folder / f"{name}-split.csv")}
    clips |= {fold: [of_video[row["video"]][fold] for row in rows] for fold in FOLDS}
    clips["video"] = [row["id"] for row in rows]
    RECORDS.mkdir(parents=True, exist_ok=True)
    (RECORDS / f"{name}-clips.json").write_text(json.dumps(clips))


def train(name: str, system: str, seeds: int) -> None:
    """Run the trainings of a system that have no record, seed by seed."""
    for seed in range(1 if system == BASELINE else seeds):
        for fold in FOLDS:
            if not record_path(name, system, seed, fold).exists():
                _train(name, system, seed, fold)


def _train(name: str, system: str, seed: int, fold: str) -> None:
    run, folder = WORK / name / f"{system}-seed{seed}-{fold}", WORK / name
    settings = [word for setting in (_NO_VALIDATION, *SYSTEMS.get(system, ()))
                for word in ("--set", setting)]  # fmt: skip
    words = (
        *(str(_manifest(name, fold)), "--data", str(WORK), "--recipe", "small", *settings),
        *("--shards", str(folder / "shards"), "--clips", str(folder / "clips"), *SETS[name]),
    )
    before = time.process_time()
    if system == BASELINE:
        command = (BASELINE, *words, "--split", "test", "--out", str(run))
        orn(*command)
    else:
        options = ("--seed", str(seed), "--workers", "0", "--device", "cpu", "--run", str(run))
        command = ("train", *words, *options)
        orn(*command)
    seconds = time.process_time() - before
    if system != BASELINE:
        where = ("--workers", "0", "--device", "cpu", *SETS[name])
        orn("eval", str(run), "--split", "test", *where)
    write_record(name, system, seed, fold, run, command=["orn", *command], seconds=seconds)
    shutil.rmtree(run)


def write_record(
    name: str, system: str, seed: int, fold: str, run: Path, *, command: list[str], seconds: float
) -> None:
    """Write the record of an evaluated run; logits of clips without a prediction are NaN."""
    with np.load(run / "predictions-test.npz") as file:
        arrays = {key: file[key] for key in file.files}
    clips = json.loads((RECORDS / f"{name}-clips.json").read_text())
    place_of = {str(video): place for place, video in enumerate(arrays["ids"])}
    tested = [video for video, part in zip(clips["video"], clips[fold], strict=True)
              if part == "test"]  # fmt: skip
    rows = [place_of.get(video, -1) for video in tested]
    logits = {
        key.removesuffix("_logits"): base64.b64encode(
            np.append(value, np.full_like(value[:1], np.nan), axis=0)[rows].astype(np.float16)
        ).decode()
        for key, value in arrays.items()
        if key.endswith("_logits")
        and value.ndim == 2
        and (system == BASELINE or key != "forest_logits")  # of the baseline, for all systems
    }
    config = run / "config.json"
    record = {
        "set": name,
        "system": system,
        "seed": seed,
        "fold": fold,
        "command": command,
        "recipe": json.loads(config.read_text())["recipe"] if config.exists() else None,
        "commit": subprocess.check_output(_COMMIT, text=True).strip(),
        "instruction_set": instruction_set(),
        "cpu_seconds": round(seconds, 1),
        "logits_float16": logits,
    }
    path = record_path(name, system, seed, fold)
    path.with_suffix(".writing").write_text(json.dumps(record))
    path.with_suffix(".writing").rename(path)


def _rows(path: Path) -> list[dict[str, str]]:
    with path.open() as file:
        return list(csv.DictReader(file))


def orn(*words: str) -> None:
    """Run a command of the project in this process; a failure ends the script."""
    commands.main(words, "orn", standalone_mode=False)


def _manifest(name: str, fold: str) -> Path:
    return WORK / f"{name}-{fold}.toml"


def record_path(name: str, system: str, seed: int, fold: str) -> Path:
    """Return the file of a record."""
    return RECORDS / f"{name}-{system}-seed{seed}-{fold}.json"


def main() -> None:
    """Parse the command line."""
    parser = argparse.ArgumentParser(description=__doc__)
    actions = parser.add_subparsers(dest="command", required=True)
    of_prepare = actions.add_parser("prepare")
    of_prepare.add_argument("name", choices=SETS)
    of_prepare.add_argument("source", type=Path)
    of_train = actions.add_parser("train")
    of_train.add_argument("name", choices=SETS)
    of_train.add_argument("systems", nargs="+", choices=(*SYSTEMS, BASELINE))
    of_train.add_argument("--seeds", type=int, default=1)
    options = parser.parse_args()
    if options.command == "prepare":
        prepare(options.name, options.source)
    else:
        for system in options.systems:
            train(options.name, system, options.seeds)


if __name__ == "__main__":
    main()
