"""The most important pairs of classes are those of a loop over all pairs."""

from collections import defaultdict

import numpy as np
import pytest

from orn.stage2_train.report.cases import ClassPairs

BACKGROUND = 3


def test_equals_a_plain_loop_without_rare_meetings_and_the_background() -> None:
    """Twelve clips of two activities, three classes and a background."""
    rng = np.random.default_rng(5)
    pairs, plain = ClassPairs(background=BACKGROUND), defaultdict(lambda: defaultdict(list))
    for clip in range(12):
        labels = rng.integers(0, 4, (2, int(rng.integers(1, 9))))
        drops = rng.normal(size=labels.shape[1])
        pairs.add(clip % 2, labels, drops)
        for place, drop in enumerate(drops):
            plain[clip % 2, *sorted(labels[:, place].tolist())][clip].append(drop)
    assert pairs.num_clips == {0: 6, 1: 6}
    for activity in (0, 1):
        ranked = pairs.ranked(activity)
        drops = [pair.drop for pair in ranked]
        assert drops == sorted(drops, reverse=True)
        mean_drops = {(pair.first, pair.second): (pair.num_clips, pair.drop) for pair in ranked}
        assert mean_drops == {
            classes: (len(clips), pytest.approx(np.mean([max(clip) for clip in clips.values()])))
            for (of, *names), clips in plain.items()
            for classes in [tuple(names)]
            if of == activity and BACKGROUND not in classes and len(clips) >= 2
        }
