"""Stored forests predict what scikit-learn predicts, and damaged ones are refused."""

import json
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from sklearn.ensemble import RandomForestClassifier

from orn.stage2_train.parts.forest import Forest, fit_forest
from tests.reference.forest import forest_shares

OLDER = Path(__file__).with_name("forest_of_scikit_learn_1.5.2.json")
NUM_CLASSES = 5
OF_CLIPS = {"num_classes": NUM_CLASSES, "num_statistics": 20, "multi_label": False}


def clips(labels_of: str, num_classes: int):
    """Return statistics of clips with ties and equal rows, their labels, and other clips."""
    random = np.random.default_rng(0)
    train_NS, other_MS = (random.normal(size=(number, 20)).round(1) for number in (60, 40))
    train_NS[:8] = train_NS[0]  # a leaf with several classes
    labels = random.integers(num_classes, size=60)
    labels[labels == num_classes - 1] = 0  # a class without a clip
    if labels_of == "several":
        labels = (random.random((60, num_classes)) < 0.3).astype(np.float32)
        if num_classes > 1:
            labels[:, 0], labels[:, 1] = 0, 1
    return train_NS, labels, other_MS


def of_scikit_learn(train_NS, labels, other_MS, num_classes):
    targets = labels.astype(np.int64)
    targets = targets[:, 0] if targets.shape[1:] == (1,) else targets
    model = RandomForestClassifier(30, random_state=3).fit(train_NS, targets)
    shares, known = model.predict_proba(other_MS), model.classes_
    if labels.ndim == 1:
        expected_MA = np.zeros((len(other_MS), num_classes))
        expected_MA[:, known] = shares
        return expected_MA
    shares, known = ([shares], [known]) if num_classes == 1 else (shares, known)
    columns = [own[:, list(names).index(1)] if 1 in names else 0 * own[:, 0]
               for own, names in zip(shares, known, strict=True)]  # fmt: skip
    return np.stack(columns, axis=1)


@pytest.mark.parametrize("num_classes", [1, NUM_CLASSES])
@pytest.mark.parametrize("labels_of", ["one", "several"])
def test_predictions_equal_scikit_learn_to_the_last_digit(labels_of, num_classes) -> None:
    train_NS, labels, other_MS = clips(labels_of, num_classes)
    forest = fit_forest(train_NS, labels, num_classes, trees=30, seed=3, jobs=2)
    shares_MA = forest.probabilities(other_MS)
    expected_MA = of_scikit_learn(train_NS, labels, other_MS, num_classes)
    assert shares_MA.dtype == expected_MA.dtype
    assert (shares_MA == expected_MA).all()
    rows = other_MS.astype(np.float32).tolist()
    assert (shares_MA == [forest_shares(forest, row) for row in rows]).all()


def test_a_forest_of_an_older_scikit_learn_predicts_what_it_predicted_there() -> None:
    stored = json.loads(OLDER.read_text())
    like = {name: np.array(own["values"], own["dtype"]) for name, own in stored["arrays"].items()}
    forest = Forest.of_arrays(like, num_classes=3, num_statistics=4, multi_label=False)
    assert (forest.probabilities(np.array(stored["statistics"])) == stored["shares"]).all()


@pytest.mark.parametrize(
    ("name", "change"),
    [
        ("roots", lambda own: own - 1),
        ("roots", lambda own: own[:0]),
        ("feature", lambda own: own + 30),
        ("feature", lambda own: own[:-1]),
        ("children", lambda own: np.zeros_like(own)),  # a circle
        ("children", lambda own: own + len(own)),
        ("children", lambda own: np.minimum(own + 1, len(own) - 1)),  # of leaves too
        ("shares", lambda own: own * np.nan),
        ("shares", lambda own: own / 2),
        ("threshold", lambda own: own * np.nan),
        ("classes", lambda own: own + NUM_CLASSES),
        ("offsets", lambda own: own[::-1].copy()),
        ("offsets", lambda own: own + 1),
        ("shares", lambda own: own[:-1]),
        ("threshold", lambda own: own.astype(np.float32)),
    ],
)
def test_arrays_that_cannot_be_evaluated_are_refused(name, change) -> None:
    train_NS, labels, _ = clips("one", NUM_CLASSES)
    arrays = fit_forest(train_NS, labels, NUM_CLASSES, trees=5, seed=0, jobs=1).arrays()
    restored = Forest.of_arrays(arrays, **OF_CLIPS)
    assert (restored.probabilities(train_NS) > 0).any()
    with pytest.raises(ValueError):
        Forest.of_arrays({**arrays, name: change(arrays[name])}, **OF_CLIPS)


def tree_arrays(roots, feature, children, **others):
    """Return arrays of a forest whose leaves hold class 0."""
    feature = np.array(feature, np.int32)
    is_leaf = feature == -1
    return {
        "roots": np.array(roots, np.int32),
        "feature": feature,
        "threshold": np.zeros(len(feature)),
        "children": np.array(children, np.int32).reshape(-1, 2),
        "offsets": np.concatenate([[0], np.cumsum(is_leaf)]).astype(np.int32),
        "classes": np.zeros(is_leaf.sum(), np.int32),
        "shares": np.ones(is_leaf.sum()),
        **others,
    }


def chain(length: int):
    """Return arrays of one tree in which each inner node has a leaf and the next inner node."""
    inner = np.arange(0, 2 * length, 2)
    children = np.stack([np.arange(2 * length + 1)] * 2, axis=1)
    children[inner] = np.stack([inner + 1, inner + 2], axis=1)
    feature = np.where(np.arange(2 * length + 1) % 2 == 0, 0, -1)
    feature[-1] = -1
    return tree_arrays([0], feature, children)


@pytest.mark.parametrize(
    "arrays",
    [
        tree_arrays([0, 1], [0, -1], [[1, 1], [0, 0]]),  # a leaf leads back
        tree_arrays([0], [0, -1, -1], [[1, 2], [0, 0], [2, 2]]),  # the same in a whole tree
        tree_arrays([0], [-1, 0, 0, -1, -1], [[0, 0], [2, 3], [1, 4], [3, 3], [4, 4]]),  # a circle
        tree_arrays([0], [0, -1, -1], [[1, 2**31 - 1], [1, 1], [2, 2]]),
        tree_arrays([0, 0], [-1], [[0, 0]]),
        tree_arrays(np.arange(2_001), [-1] * 2_001, np.arange(2_001).repeat(2)),
        chain(200_000),
    ],
)
def test_crafted_trees_are_refused(arrays) -> None:
    with pytest.raises(ValueError):
        Forest.of_arrays(arrays, num_classes=1, num_statistics=1, multi_label=False)


def test_a_long_path_ends() -> None:
    forest = Forest.of_arrays(chain(900), num_classes=1, num_statistics=1, multi_label=False)
    assert forest.probabilities(np.array([[-1.0], [1.0]])).tolist() == [[1], [1]]


@pytest.mark.slow
@given(data=st.data())
def test_any_arrays_are_refused_or_give_distributions(data) -> None:
    nodes = data.draw(st.integers(1, 8))
    numbers = st.integers(-2, 9)
    arrays = tree_arrays(
        data.draw(st.lists(numbers, max_size=3)),
        data.draw(st.lists(st.integers(-1, 3), min_size=nodes, max_size=nodes)),
        data.draw(st.lists(numbers, min_size=2 * nodes, max_size=2 * nodes)),
    )
    try:
        forest = Forest.of_arrays(arrays, num_classes=2, num_statistics=3, multi_label=False)
    except ValueError:
        return
    share_MA = forest.probabilities(np.array([[0.0, 1.0, -1.0], [np.nan, np.inf, -np.inf]]))
    assert np.allclose(share_MA.sum(axis=1), 1)
