"""What a drawn split holds of classes and groups."""

from collections import Counter
from collections.abc import Iterable, Mapping

import pytest
from hypothesis import given
from hypothesis import strategies as st

from orn.shared.manifests.draw_split import Group, draw, parse_shares
from orn.shared.manifests.records import Split


def groups_of(labels: Iterable[Iterable[str]]) -> dict[str, Group]:
    """A group of one row for each of the labels, which are classes; no class counts as one."""
    return {
        f"v{number}": Group(rows=1, classes=Counter(set(each) or {""}))
        for number, each in enumerate(labels)
    }


def classes_of(groups: Mapping[str, Group], split_of: Mapping[str, Split], split: Split) -> str:
    found = (groups[name].classes for name in split_of if split_of[name] == split)
    return "".join(sorted("".join(each.elements()) for each in found))


@pytest.mark.parametrize(
    ("labels", "text", "train", "validation", "test"),
    [
        pytest.param("A" * 40 + "B" * 20, "80/10/10", "A" * 32 + "B" * 16, "AAAABB", "AAAABB",
                     id="each class has the shares"),
        pytest.param("AAAABBBBCCC", "80/10/10", "AAABBBCCC", "A", "B",
                     id="few: another class each time"),
        pytest.param("AABBCCDDEE", "80/10/10", "ABCCDDEE", "A", "B", id="every class is in train"),
        pytest.param("ABC", "60/20/20", "C", "A", "B", id="no split is empty"),
        pytest.param("A" * 9 + "B", "80/20", "A" * 7 + "B", "AA", "", id="two splits"),
        pytest.param("ABCDEFGHIJ", "80/20", "CDEFGHIJ", "AB", "", id="classes of one video each"),
    ],
)  # fmt: skip
@pytest.mark.parametrize("seed", range(3))
def test_shares_of_classes(
    labels: str, text: str, train: str, validation: str, test: str, seed: int
) -> None:
    groups = groups_of(labels)
    split_of = draw(groups, parse_shares(text), seed=seed)
    assert classes_of(groups, split_of, "train") == train
    assert classes_of(groups, split_of, "validation") == validation
    assert classes_of(groups, split_of, "test") == test


def test_seeds_draw_other_videos() -> None:
    groups = groups_of("A" * 50)
    drawn = [draw(groups, parse_shares("80/20"), seed=seed) for seed in (0, 0, 1)]
    assert drawn[0] == drawn[1] != drawn[2]


def test_several_labels_a_video() -> None:
    groups = groups_of(["AB", "A", "B", ""] * 20)
    split_of = draw(groups, parse_shares("80/20"), seed=0)
    held = Counter(classes_of(groups, split_of, "validation"))
    assert all(abs(held[name] - 8) <= 1 for name in "AB")
    assert list(split_of.values()).count("validation") == 16


def test_large_groups_stay_in_train() -> None:
    rows = (500, 10, 12, 9, 10, 30, 11)
    groups = {
        f"p{place}": Group(rows=count, classes=Counter(A=count)) for place, count in enumerate(rows)
    }
    split_of = draw(groups, parse_shares("80/10/10"), seed=0)
    assert split_of["p0"] == "train"
    assert set(split_of.values()) == {"train", "validation", "test"}


@given(
    st.lists(st.lists(st.sampled_from("ABCDEF"), max_size=3), min_size=10, max_size=60),
    st.sampled_from(["80/10/10", "10/80/10", "34/33/33", "98/1/1"]),
    st.integers(0, 2**32 - 1),
)
def test_sizes_are_the_nearest_that_leave_no_split_empty(
    labels: list[list[str]], text: str, seed: int
) -> None:
    groups, shares = groups_of(labels), parse_shares(text)
    sizes = Counter(draw(groups, shares, seed=seed).values())
    assert sizes.total() == len(labels)
    assert all(sizes[split] >= 1 for split in shares)
    for split in ("validation", "test"):
        assert abs(sizes[split] - shares[split] * len(labels)) <= 1.0
