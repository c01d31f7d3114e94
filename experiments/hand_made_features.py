"""Classify J-HMDB by hand-made features of its objects and a random forest, without a network.

    python experiments/hand_made_features.py /disk/jhmdb
    python experiments/hand_made_features.py /disk/jhmdb --folds  # five folds over all clips

The folder holds `labels.csv` and `objects.json`. Features of a video: best and summed score of each
of the C object classes over the annotated frames, and how the box of the largest person lies and
moves. On the official split, trained on the train and validation splits; in the folds of
`real_videos.py`, on their train splits alone. Evaluated on the test splits, five seeds; prints one
JSON object. P frames with a person.
"""

import argparse
import csv
import json
from collections import defaultdict
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from real_videos import CLIPS, FOLDS, OFFICIAL
from sklearn.ensemble import RandomForestClassifier

SEEDS = 5
_WIDTH, _HEIGHT = 320, 240


def features(objects: Mapping[str, Any], num_classes: int) -> dict[str, NDArray[np.float64]]:
    """Return the features of each video in a COCO file."""
    video_of = {image["id"]: image["file_name"].rpartition("/")[0] for image in objects["images"]}
    column_of = {category["id"]: place for place, category in enumerate(objects["categories"])}
    person = next(each["id"] for each in objects["categories"] if each["name"] == "person")
    best_C: defaultdict[str, NDArray[np.float64]] = defaultdict(lambda: np.zeros(num_classes))
    sum_C: defaultdict[str, NDArray[np.float64]] = defaultdict(lambda: np.zeros(num_classes))
    persons: defaultdict[str, dict[int, tuple[float, ...]]] = defaultdict(dict)
    for each in objects["annotations"]:
        video, column = video_of[each["image_id"]], column_of[each["category_id"]]
        best_C[video][column] = max(best_C[video][column], each["score"])
        sum_C[video][column] += each["score"]
        x, y, width, height = each["bbox"]
        largest = persons[video].get(each["image_id"])
        if each["category_id"] == person and (
            largest is None or width * height > largest[2] * largest[3]
        ):
            persons[video][each["image_id"]] = (x, y, width, height, each["score"])
    return {
        video: np.concatenate([best_C[video], sum_C[video], _of_person(persons[video])])
        for video in set(video_of.values())
    }


def _of_person(boxes: Mapping[int, tuple[float, ...]]) -> NDArray[np.float64]:
    """Return statistics over time of centre, size, aspect, area, score and bottom of a box."""
    if not boxes:
        return np.zeros(49)
    size = (_WIDTH, _HEIGHT, _WIDTH, _HEIGHT, 1)
    x_P, y_P, width_P, height_P, score_P = (np.array([boxes[id] for id in sorted(boxes)]) / size).T
    values_P8 = np.stack(
        [
            *(x_P + width_P / 2, y_P + height_P / 2, width_P, height_P),
            *(width_P / (height_P + 1e-6), width_P * height_P, score_P, y_P + height_P),
        ],
        axis=1,
    )
    steps_P8 = np.abs(np.diff(values_P8, axis=0)) if len(boxes) > 1 else np.zeros((1, 8))
    summaries = (values_P8.mean(0), values_P8.std(0), values_P8.min(0), values_P8.max(0))
    return np.concatenate(
        [*summaries, steps_P8.mean(0), values_P8[-1] - values_P8[0], [len(boxes)]]
    )


def predict(
    inputs_NF: NDArray[np.float64], labels_N: NDArray, splits_N: NDArray, *, trained: set[str]
) -> list[NDArray[np.bool_]]:
    """Return, for each seed, which clips of the test split are classified correctly."""
    train_N, test_N = np.isin(splits_N, [*trained]), splits_N == "test"
    forests = (
        RandomForestClassifier(500, random_state=seed).fit(inputs_NF[train_N], labels_N[train_N])
        for seed in range(SEEDS)
    )
    return [each.predict(inputs_NF[test_N]) == labels_N[test_N] for each in forests]


def main() -> None:
    """Parse the command line; train and evaluate on the official split or on the folds."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--folds", action="store_true", help="five folds, not split 1")
    options = parser.parse_args()
    objects = json.loads((options.folder / "objects.json").read_text())
    of_video = features(objects, len(objects["categories"]))
    with (options.folder / "labels.csv").open() as file:
        rows = list(csv.DictReader(file))
    inputs_NF = np.stack([of_video[row["video"]] for row in rows])
    labels_N, clips = np.array([row["label"] for row in rows]), json.loads(CLIPS.read_text())
    parts, trained = (FOLDS, {"train"}) if options.folds else ([OFFICIAL], {"train", "validation"})
    hits = [predict(inputs_NF, labels_N, np.array(clips[part]), trained=trained) for part in parts]
    top1 = [round(100 * float(np.concatenate(each).mean()), 2) for each in zip(*hits, strict=True)]
    number = sum(len(each[0]) for each in hits)
    print(json.dumps({"test_clips": number, "top1": top1, "mean": np.mean(top1)}))


if __name__ == "__main__":
    main()
