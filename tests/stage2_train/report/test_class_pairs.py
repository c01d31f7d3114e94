"""The most important pairs of classes."""

from collections import defaultdict

import numpy as np
import pytest

from orn.stage2_train.report.class_pairs import ClassPairs
from orn.stage2_train.report.importance import Pair
from orn.stage2_train.report.shown_clip import ShownClip
from tests.stage2_train.report.test_shown_clip import seen


def test_equals_a_plain_loop_without_rare_meetings_and_the_background() -> None:
    """Twelve clips of two activities, three classes and a background."""
    rng = np.random.default_rng(5)
    pairs, plain = ClassPairs(), defaultdict(lambda: defaultdict(list))
    for clip in range(12):
        labels = rng.integers(0, 4, (2, int(rng.integers(1, 9))))
        drops = sorted(rng.normal(size=labels.shape[1]), reverse=True)
        clip_pairs = [
            Pair(frames=(0, 1), objects=(place, place), logit_drop=drop)
            for place, drop in enumerate(drops)
        ]
        objects = tuple(tuple(seen(label) for label in row) for row in labels.tolist())
        pairs.add(
            clip % 2,
            ShownClip(
                seconds=(0.0, 0.5),
                objects=objects,
                grid=(12, 8),
                activity="move",
                pairs=tuple(clip_pairs),
            ),
        )
        for place, drop in enumerate(drops):
            plain[clip % 2, *sorted(labels[:, place].tolist())][clip].append(drop)
    assert pairs.num_clips == {0: 6, 1: 6}
    for activity in (0, 1):
        ranked = pairs.ranked(activity)
        drops = [drop for _, _, drop in ranked]
        assert drops == sorted(drops, reverse=True)
        assert {(first, second): drop for first, second, drop in ranked} == {
            classes: pytest.approx(np.mean([max(clip) for clip in clips.values()]))
            for (of, *names), clips in plain.items()
            for classes in [tuple(names)]
            if of == activity and 3 not in classes and len(clips) >= 2
        }
