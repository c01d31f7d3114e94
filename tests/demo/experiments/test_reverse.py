"""Films backwards: shares from confusion matrices made by hand."""

import numpy as np
import pytest

from orn.demo.experiments.reverse import TURNED, reversed_figures, reversed_text
from orn.demo.world.dials import ACTIVITIES, MIRRORED
from orn.shared.errors import ConfigError


def _report(confusion_AA: np.ndarray) -> dict:
    return {
        "run": "runs/some",
        "per_class": [{"class": name} for name in ACTIVITIES],
        "confusion_counts": [[*place, n] for place, n in np.ndenumerate(confusion_AA) if n],
    }


def test_a_system_that_sees_order_names_the_mirror() -> None:
    assert TURNED == (0, 1, 2, 3, 6, 7)
    forward = 10 * np.eye(12, dtype=int)
    backward = np.zeros((12, 12), int)
    for activity in range(12):
        backward[activity, MIRRORED.get(activity, activity)] = 10
    backward[0] = 0
    backward[0, [0, 1, 5]] = (2, 7, 1)
    figures = reversed_figures(_report(forward), _report(backward))
    assert figures["num_segments"] == 60
    assert figures["forward"] == 1
    assert figures["mirrored"] == pytest.approx(57 / 60)
    assert figures["original"] == pytest.approx(2 / 60)
    assert "backwards 95.0 % under the mirrored label, 3.3 %" in reversed_text(figures)


def test_refuses_reports_of_other_classes_and_clips() -> None:
    whole = _report(np.eye(12, dtype=int))
    with pytest.raises(ConfigError, match="found one of 3 classes"):
        reversed_figures({**whole, "per_class": whole["per_class"][:3]}, whole)
    with pytest.raises(ConfigError, match="both reports on the same clips"):
        reversed_figures(whole, _report(2 * np.eye(12, dtype=int)))
