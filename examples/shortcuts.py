"""Measure how well the objects in a clip predict its label without their interactions.

    python examples/shortcuts.py demo --data data

A ridge classifier reads the number of objects of each detector class. What it gains over the most
frequent label is explained by which objects are present; a network that relates objects has to be
compared with it, and not only with chance.

N clips, S detector classes, A activity classes.
"""

import argparse

import numpy as np
import torch
from numpy.typing import NDArray
from torch.nn import functional

import orn
from orn.opened_dataset import OpenedDataset

CLASSES_ALONE = ("model.heads=object", 'model.object_parts=["class"]')
"""Settings of a network that reads no pixels, so that no picture is decoded."""
PENALTY = 1.0


def counts_and_labels(dataset: OpenedDataset, split: str) -> tuple[NDArray, NDArray]:
    """Return (N, S + 1) mean numbers of objects per frame with a constant, and (N, A) labels."""
    num_classes, rows, labels = len(dataset.detector_classes), [], []
    for batch in dataset.batches(split):
        seen_BTKS = functional.one_hot(batch.detector_labels_BTK, num_classes + 1)
        counts_BS = (seen_BTKS * batch.valid_BTK[..., None]).sum(2).double().mean(1)
        counts_BS[:, -1] = 1  # in place of the background object
        rows.append(counts_BS)
        several = batch.labels
        if several.ndim == 1:
            several = functional.one_hot(several, len(dataset.classes))
        labels.append(several.double())
    return torch.cat(rows).numpy(), torch.cat(labels).numpy()


def ridge_scores(train_NF: NDArray, labels_NA: NDArray, counts_NF: NDArray) -> NDArray:
    """Return the (N, A) labels that a ridge regression predicts."""
    normal_FF = train_NF.T @ train_NF + PENALTY * np.eye(train_NF.shape[1])
    return np.asarray(counts_NF @ np.linalg.solve(normal_FF, train_NF.T @ (labels_NA > 0)))


def accuracy(scores_NA: NDArray, labels_NA: NDArray) -> float:
    """Return top-1 accuracy: the fraction of clips whose best class is one of their labels."""
    best_N1 = scores_NA.argmax(axis=1)[:, None]
    return float((np.take_along_axis(labels_NA, best_N1, axis=1) > 0).mean())


def main(
    dataset: str, *, data: str = "data", shards: str | None = None, clips: str | None = None,
    split: str = "validation",
) -> dict[str, float]:  # fmt: skip
    """Print and return the accuracy of the most frequent label and of the ridge classifier."""
    opened = orn.open_dataset(
        dataset, data=data, shards=shards, clips=clips, settings=CLASSES_ALONE
    )
    train_NF, labels_NA = counts_and_labels(opened, "train")
    counts_NF, true_NA = counts_and_labels(opened, split)
    majority_NA = np.repeat((labels_NA > 0).mean(axis=0)[None], len(true_NA), axis=0)
    shares = {
        "majority": accuracy(majority_NA, true_NA),
        "object counts": accuracy(ridge_scores(train_NF, labels_NA, counts_NF), true_NA),
    }
    for name, share in shares.items():
        print(f"{name}: {share:.1%} of {len(true_NA)} clips")
    return shares


if __name__ == "__main__":
    parser = argparse.ArgumentParser()
    parser.add_argument("dataset")
    for option in ("--data", "--shards", "--clips", "--split"):
        parser.add_argument(option, default=argparse.SUPPRESS)
    main(**vars(parser.parse_args()))
