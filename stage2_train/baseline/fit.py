"""The models of a baseline: fitted on the training clips, and their logits for other clips.

N training clips, M other clips, S statistics of each, A activity classes. Labels are (N,) classes,
or (N, A) zeros and ones. Fitted models are not stored.
"""

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

_TREES = 500
_PENALTY = 0.01
"""Inverse strength of the L2 penalty of the probe, for standardized statistics."""
_STEPS = 300
_LEAST = 1e-6
"""Least probability, since trees may agree on 0 or 1."""
_Labels = NDArray[np.int64] | NDArray[np.float32]


def forest_logits(
    train_NS: NDArray, labels: _Labels, other_MS: NDArray, num_classes: int, *, seed: int, jobs: int
) -> NDArray[np.float32]:
    """Return (M, A) logits of one random forest, which predicts all labels of a clip."""
    from sklearn.ensemble import RandomForestClassifier

    forest = RandomForestClassifier(_TREES, random_state=seed, n_jobs=jobs)
    single = labels.ndim == 1
    targets = labels if single else labels.astype(np.int64)
    forest.fit(train_NS, targets if single or num_classes > 1 else targets[:, 0])
    forest.n_jobs = 1  # sums over trees would depend on the order of threads
    found = forest.predict_proba(other_MS)
    classes = forest.classes_
    if single:
        return _logits(_placed(found, classes, num_classes))
    if num_classes == 1:
        found, classes = [found], [classes]
    return _log_odds([_placed(*each, 2)[:, 1] for each in zip(found, classes, strict=True)])


def probe_logits(
    train_NS: NDArray, labels: _Labels, other_MS: NDArray, num_classes: int
) -> NDArray[np.float32]:
    """Return (M, A) logits of a logistic regression on standardized statistics: multinomial, or for
    multiple labels one for each class."""
    mean_S, deviation_S = train_NS.mean(axis=0), train_NS.std(axis=0) + _LEAST
    train_NS, other_MS = ((each - mean_S) / deviation_S for each in (train_NS, other_MS))
    if labels.ndim == 1:
        return _logits(_regression(train_NS, labels, other_MS, num_classes))
    return _log_odds(
        [
            _regression(train_NS, of_class_N.astype(np.int64), other_MS, 2)[:, 1]
            for of_class_N in labels.T
        ]
    )


def _regression(
    train_NS: NDArray, labels_N: NDArray, other_MS: NDArray, num_classes: int
) -> NDArray[np.float64]:
    """Return (M, A) probabilities; those of the only class if there is no other."""
    from sklearn.linear_model import LogisticRegression

    classes = np.unique(labels_N)
    if len(classes) == 1:
        return _placed(np.ones((len(other_MS), 1)), classes, num_classes)
    model = LogisticRegression(C=_PENALTY, max_iter=_STEPS).fit(train_NS, labels_N)
    return _placed(model.predict_proba(other_MS), model.classes_, num_classes)


def _placed(found_MK: Any, classes: Any, num_classes: int) -> NDArray[np.float64]:
    """Return (M, A) probabilities; those of classes without a training clip are 0."""
    probability_MA = np.zeros((len(found_MK), num_classes))
    probability_MA[:, classes] = found_MK
    return probability_MA


def _logits(probability_MA: NDArray[np.float64]) -> NDArray[np.float32]:
    """Return logarithms of probabilities, whose mean is that of a geometric mean."""
    return np.log(np.clip(probability_MA, _LEAST, 1)).astype(np.float32)


def _log_odds(probabilities: Sequence[NDArray[np.float64]]) -> NDArray[np.float32]:
    probability_MA = np.clip(np.stack(probabilities, axis=1), _LEAST, 1 - _LEAST)
    return np.log(probability_MA / (1 - probability_MA)).astype(np.float32)
