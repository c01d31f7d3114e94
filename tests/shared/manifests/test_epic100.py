"""EPIC Kitchens 100's published tables."""

from collections import Counter
from pathlib import Path

import pytest

from orn.shared.errors import DataRootError, ManifestError
from orn.shared.manifests import epic
from orn.shared.manifests.load import load_dataset, load_listing, load_manifest
from orn.shared.manifests.records import Listing, Segment
from orn.shared.manifests.schema import Epic100Labels

SPEC = Epic100Labels(
    format="epic100", train="t.csv", validation="v.csv", test="x.csv", verbs="verbs", nouns="nouns"
)
UNLABELLED = (
    "narration_id,participant_id,video_id,narration_timestamp,start_timestamp,stop_timestamp,"
    "start_frame,stop_frame"
)
HEADER = f"{UNLABELLED},narration,verb,verb_class,noun,noun_class,all_nouns,all_noun_classes\n"


def row(name: str, video_id: str = "P01_101", *, at: str = "00:00:00.560", verb: str = "0") -> str:
    times = f"{at},00:00:00.00,00:00:01.89,1,113"
    return f"{name},P01,{video_id},{times},take plate,take,{verb},plate,1,['plate'],[1]\n"


def read(folder: Path, *, train: str, partial: bool = False, labels: bool = True) -> Listing:
    (folder / "t.csv").write_text(HEADER + train)
    (folder / "v.csv").write_text(HEADER + row("P02_01_0", "P02_01"))
    (folder / "x.csv").write_text(
        f"{UNLABELLED}\nP03_01_0,P03,P03_01,,00:00:00.00,00:00:01.00,1,50\n"
    )
    (folder / "verbs").write_text("id,key,instances,category\n0,take,x,retrieve")
    (folder / "nouns").write_text("id,key,instances,category\n0,tap,x,y\n1,plate,x,y")
    return epic.read_100(SPEC, folder, task="single-label", labels=labels, partial=partial)


def test_each_table_is_a_split(tmp_path: Path) -> None:
    listing = read(tmp_path, train=row("P01_101_0", at=""))
    assert listing.classes == ("take",)
    assert listing.video_ids == ("P01_101", "P02_01", "P03_01")
    assert listing.segments[0] == Segment(
        id="P01_101_0",
        video_id="P01_101",
        split="train",
        labels=(0,),
        start_seconds=0.0,
        stop_seconds=1.89,
        participant="P01",
    )
    splits = [(segment.split, segment.labels) for segment in listing.segments]
    assert splits == [("train", (0,)), ("validation", (0,)), ("test", ())]


def test_a_segment_in_two_tables_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ManifestError, match=r"v\.csv: .*narration_id P02_01_0 is listed before"):
        read(tmp_path, train=row("P02_01_0"))


def test_a_table_of_two_splits_is_refused(tmp_path: Path) -> None:
    read(tmp_path, train=row("a"))
    spec = SPEC.model_copy(update={"validation": "t.csv"})
    with pytest.raises(ManifestError, match=r"t\.csv: .*narration_id a is listed before"):
        epic.read_100(spec, tmp_path, task="single-label", labels=True)


def test_verb_out_of_range(tmp_path: Path) -> None:
    with pytest.raises(ManifestError, match="line 2: wanted a verb_class from 0 to 0, found '1'"):
        read(tmp_path, train=row("a", verb="1"))


def test_a_table_that_is_not_there(tmp_path: Path) -> None:
    read(tmp_path, train=row("a"))
    (tmp_path / "t.csv").unlink()
    with pytest.raises(DataRootError, match=r"t\.csv: no such file"):
        epic.read_100(SPEC, tmp_path, task="single-label", labels=True)
    listing = epic.read_100(SPEC, tmp_path, task="single-label", labels=True, partial=True)
    assert listing.absent == ("t.csv",)
    assert [segment.split for segment in listing.segments] == ["validation", "test"]


def test_no_table_at_all(tmp_path: Path) -> None:
    read(tmp_path, train=row("a"))
    for name in ("t.csv", "v.csv", "x.csv"):
        (tmp_path / name).unlink()
    with pytest.raises(DataRootError, match=r"t\.csv: no such file"):
        epic.read_100(SPEC, tmp_path, task="single-label", labels=True, partial=True)


@pytest.mark.real_data
def test_published_validation_table(sample_data: Path) -> None:
    listing = load_listing(load_manifest("epic100"), sample_data, partial=True)
    assert listing.absent == ("annotations/EPIC_100_train.csv",)
    assert Counter(segment.split for segment in listing.segments) == {"validation": 9_668}
    assert len(listing.video_ids) == 138
    assert len(listing.classes) == 97
    assert len({segment.labels for segment in listing.segments}) == 78


@pytest.mark.real_data
def test_published_nouns_and_actions(sample_data: Path, tmp_path: Path) -> None:
    text = load_manifest("epic100").source.read_text()
    for target, num_classes, num_present in (("noun", 300, 211), ("action", 1_352, 1_352)):
        path = tmp_path / f"{target}.toml"
        path.write_text(text.replace('target = "verb"', f'target = "{target}"'))
        listing = load_listing(load_manifest(path), sample_data, partial=True)
        assert len(listing.classes) == num_classes
        assert len({segment.labels for segment in listing.segments}) == num_present


@pytest.mark.real_data
def test_rates_of_the_published_frames(sample_data: Path, tmp_path: Path) -> None:
    """60 a second for the videos that came with EPIC Kitchens 55, 50 for the others."""
    folder = tmp_path / "epic100"
    (folder / "annotations").mkdir(parents=True)
    annotations = sample_data / "epic100" / "annotations"
    for source in annotations.glob("*.csv"):
        (folder / "annotations" / source.name).symlink_to(source)
    header = (annotations / "EPIC_100_validation.csv").read_text().splitlines()[0]
    rows = row("P28_101_0", "P28_101") + row("P01_01_0", "P01_01")
    (folder / "annotations" / "EPIC_100_train.csv").write_text(f"{header}\n{rows}")
    for name in ("P28/P28_101", "P01/P01_01"):
        (folder / "frames" / name).mkdir(parents=True)
    dataset = load_dataset("epic100-frames", tmp_path)
    assert {video.id: video.rate for video in dataset.videos} == {"P28_101": 50, "P01_01": 60}
