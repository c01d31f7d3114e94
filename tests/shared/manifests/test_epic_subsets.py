"""What EPIC Kitchens measures by itself: by hand, and against the published lists."""

import csv
from pathlib import Path

import pytest

from orn.shared.errors import ManifestError
from orn.shared.manifests.epic_subsets import many_shot, tail, unseen
from orn.shared.manifests.load import load_listing, load_manifest
from orn.shared.manifests.records import Subset
from orn.shared.manifests.schema import Epic100Labels

NUM_NOUNS = 10


def spec(target: str) -> Epic100Labels:
    return Epic100Labels(
        format="epic100", target=target, unseen="unseen", tail_verbs="verbs", tail_nouns="nouns"
    )


def lists(folder: Path, *, verbs: str = "1\n", nouns: str = "2\n7\n") -> Path:
    (folder / "verbs").write_text(f"verb\n{verbs}")
    (folder / "nouns").write_text(f"noun\n{nouns}")
    (folder / "unseen").write_text("participant_id\nP18\nP32\n")
    return folder


def test_many_shot_classes_occur_more_than_a_hundred_times() -> None:
    found = many_shot([4] * 101 + [3] * 100 + [2] * 500, target="verb", num_nouns=0)
    assert found == Subset(name="many_shot", classes=(2, 4))


def test_a_many_shot_action_is_of_a_verb_and_a_noun_that_are() -> None:
    """Verb 1 and noun 5 occur 101 times, together once; verb 2 and noun 6 only with those."""
    labels = [1 * NUM_NOUNS + 6] * 100 + [15] + [2 * NUM_NOUNS + 5] * 100
    found = many_shot(labels, target="action", num_nouns=NUM_NOUNS)
    assert found.classes == (15,)


def test_tail_classes_are_those_of_the_lists(tmp_path: Path) -> None:
    lists(tmp_path)
    numbers = {"num_verbs": 3, "num_nouns": NUM_NOUNS}
    assert tail(spec("verb"), tmp_path, num_verbs=3, num_nouns=0, labels=()).classes == (1,)
    assert tail(spec("noun"), tmp_path, num_verbs=0, num_nouns=10, labels=()).classes == (2, 7)
    actions = tail(spec("action"), tmp_path, **numbers, labels=(0, 10, 11, 17, 20, 22, 27))
    assert actions.classes == (10, 11, 17, 22, 27)  # of verb 1, or of noun 2 or 7
    assert unseen(spec("verb"), tmp_path).participants == ("P18", "P32")


def test_a_list_that_is_not_there_is_named(tmp_path: Path) -> None:
    lists(tmp_path)
    (tmp_path / "nouns").unlink()
    (tmp_path / "unseen").unlink()
    found = tail(spec("action"), tmp_path, num_verbs=3, num_nouns=10, labels=(10,))
    assert found == Subset(name="tail", absent=tmp_path / "nouns")
    assert unseen(spec("verb"), tmp_path).absent == tmp_path / "unseen"
    assert tail(spec("verb"), tmp_path, num_verbs=3, num_nouns=0, labels=()).absent is None


@pytest.mark.parametrize("cell", ["3", "-1", "x", "1.0", "²", "9" * 20, ""])
def test_a_list_of_what_is_no_class_is_refused(cell: str, tmp_path: Path) -> None:
    lists(tmp_path, verbs=f"1\n{cell},\n".replace(",", "") if cell else '""\n')
    with pytest.raises(ManifestError, match=r"verbs: .*line \d: wanted a verb from 0 to 2"):
        tail(spec("verb"), tmp_path, num_verbs=3, num_nouns=0, labels=())


def column(path: Path, name: str) -> list[str]:
    with path.open(newline="") as file:
        return [row[name] for row in csv.DictReader(file)]


@pytest.mark.real_data
@pytest.mark.parametrize(("name", "kind"), [("epic", "verb"), ("epic-nouns", "noun")])
def test_many_shot_classes_are_the_published_ones(sample_data: Path, name: str, kind: str) -> None:
    (found,) = load_listing(load_manifest(name), sample_data).subsets
    published = sample_data / "epic" / "annotations" / f"EPIC_many_shot_{kind}s.csv"
    assert found.classes == tuple(sorted(map(int, column(published, f"{kind}_class"))))


@pytest.mark.real_data
def test_many_shot_actions_are_the_published_ones(sample_data: Path) -> None:
    folder = sample_data / "epic" / "annotations"
    listing = load_listing(load_manifest("epic-actions"), sample_data)
    (found,) = listing.subsets
    verbs = column(folder / "EPIC_verb_classes.csv", "class_key")
    nouns = column(folder / "EPIC_noun_classes.csv", "class_key")
    published = folder / "EPIC_many_shot_actions.csv"
    pairs = zip(column(published, "verb_class"), column(published, "noun_class"), strict=True)
    wanted = {f"{verbs[int(verb)]} {nouns[int(noun)]}" for verb, noun in pairs}
    assert {listing.classes[label] for label in found.classes} == wanted


@pytest.mark.real_data
def test_published_tail_and_unseen(sample_data: Path) -> None:
    listing = load_listing(load_manifest("epic100"), sample_data, partial=True)
    named = {each.name: each for each in listing.subsets}
    assert named["unseen"].participants == ("P18", "P32")
    assert len(named["tail"].classes) == 86
    of_unseen = [each for each in listing.segments if each.participant in ("P18", "P32")]
    of_tail = [each for each in listing.segments if each.labels[0] in named["tail"].classes]
    assert (len(of_unseen), len(of_tail)) == (1_065, 1_760)
    nouns = load_listing(load_manifest("epic100-nouns"), sample_data, partial=True)
    assert nouns.subsets[1].absent is not None
    assert nouns.subsets[1].absent.name == "EPIC_100_tail_nouns.csv"
