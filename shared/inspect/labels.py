"""Labels of a shard's videos, and the predictions of a run."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from orn.shared.errors import ConfigError
from orn.shared.manifests.load import load_listing, load_manifest
from orn.shared.manifests.records import Segment


@dataclass(frozen=True, slots=True, kw_only=True)
class ActivityLabels:
    """Labeled video segments with A activity classes."""

    source: str = "none"
    """Description of their source."""
    classes: tuple[str, ...] = ()
    """Names of the A classes."""
    segments: tuple[Segment, ...] = ()
    """Segments with their labels, in the order of the label table."""
    probabilities: Mapping[str, NDArray[np.float32]] = field(default_factory=dict)
    """(A,) predicted probabilities by segment id; empty without a run."""
    several: bool = False
    """Whether the data set is multi-label."""

    def predicted(self, segment: Segment) -> list[tuple[int, float]] | None:
        """Return the predicted classes of a segment with their probabilities, in descending order;
        None if there is no prediction."""
        chances_A = self.probabilities.get(segment.id)
        if chances_A is None:
            return None
        order = np.argsort(-chances_A, kind="stable")
        chosen = order[chances_A[order] >= 0.5] if self.several else order[:1]
        return [(int(each), round(float(chances_A[each]), 3)) for each in chosen]


def labels_of(
    dataset: str, data_root: Path, probabilities: Mapping[str, NDArray[np.float32]] | None = None
) -> ActivityLabels:
    """Return the labels of a data set.

    Args:
        dataset: name or file of its manifest.
        data_root: folder of all data sets.
        probabilities: (A,) predicted probabilities of a run, by segment id.

    Raises:
        ConfigError: if the classes of the run differ from those of the data set.
    """
    probabilities = probabilities or {}
    manifest = load_manifest(dataset)
    listing = load_listing(manifest, data_root)
    for name, chances_A in probabilities.items():
        if len(chances_A) != len(listing.classes):
            raise ConfigError(
                f"{name!r}: expected predictions for {len(listing.classes)} classes of {dataset}, "
                f"got {len(chances_A)}; specify the run's data set with --dataset"
            )
    return ActivityLabels(
        source=f"{manifest.name} under {data_root}",
        classes=listing.classes,
        segments=listing.segments,
        probabilities=probabilities,
        several=manifest.task == "multi-label",
    )
