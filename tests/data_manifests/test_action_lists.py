"""The published split files of J-HMDB, HMDB51 and UCF101."""

import csv
from collections import Counter
from pathlib import Path

import pytest

from orn.data_manifests.action_lists import film_of
from orn.data_manifests.check import check_dataset
from orn.data_manifests.load import load_dataset, load_manifest
from orn.data_manifests.records import Dataset
from orn.shared.errors import ManifestError

CLIPS = [f"{film}_pour_u_nm_np1_fr_goo_{number}" for film in "abcdefgh" for number in range(4)]
HMDB = {
    "pour_test_split2.txt": "".join(
        f"{name}.avi {2 if name[0] in 'gh' else 1} \n" for name in CLIPS
    )
    + "z_pour_u_nm_np1_fr_goo_0.avi 0\n",
    "kick_ball_test_split2.txt": "g_kick_ball_l_cm_np1_le_med_1.avi 1\n",
}
UCF = {
    "ucfTrainTestlist/classInd.txt": "1 Archery\n2 YoYo\n",
    "ucfTrainTestlist/trainlist02.txt": "Archery/v_Archery_g08_c01.avi 1\n"
    "Archery/v_Archery_g08_c02.avi 1\nYoYo/v_YoYo_g09_c01.avi 2\n",
    "ucfTrainTestlist/testlist02.txt": "YoYo/v_YoYo_g01_c03.avi\n",
}


def write(root: Path, name: str, files: dict[str, str]) -> Path:
    """Writes lists of split 2 with an empty video for each clip; returns the manifest."""
    shipped = load_manifest(name)
    for relative, text in files.items():
        path = root / name / relative
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
        for line in text.splitlines():
            clip = line.split()[0].removesuffix(".avi")
            clip = clip if "/" in clip else f"{path.name.partition('_test_')[0]}/{clip}"
            video = root / name / shipped.videos.pattern.format(id=clip)
            video.parent.mkdir(parents=True, exist_ok=True)
            video.touch()
    manifest = root / f"{name}.toml"
    manifest.write_text(shipped.file.read_text().replace("split = 1 ", "split = 2 "))
    return manifest


def splits(dataset: Dataset) -> dict[str, list[str]]:
    ids: dict[str, list[str]] = {}
    for segment in dataset.segments:
        assert dataset.classes[segment.labels[0]] == segment.id.partition("/")[0]
        ids.setdefault(segment.split, []).append(segment.id)
    return ids


@pytest.mark.parametrize("name", ["jhmdb", "hmdb51"])
def test_lists_of_classes(tmp_path: Path, name: str) -> None:
    folder = "splits/" if name == "jhmdb" else "testTrainMulti_7030_splits/"
    manifest = write(tmp_path, name, {f"{folder}{path}": text for path, text in HMDB.items()})
    assert check_dataset(manifest, tmp_path)["left_out"] == {"not in split 2": 1}
    dataset = load_dataset(manifest, tmp_path)
    assert dataset.classes == ("kick_ball", "pour")
    ids_of = splits(dataset)
    assert ids_of["test"] == [f"pour/{name}" for name in CLIPS[24:]]
    assert len(ids_of["train"]) + len(ids_of["validation"]) == 25
    films = {split: {film_of(video_id) for video_id in ids} for split, ids in ids_of.items()}
    assert len(films["validation"]) == 1
    assert films["validation"].isdisjoint(films["train"])
    assert dataset.flipped_classes == ()


def test_lists_of_ucf101(tmp_path: Path) -> None:
    dataset = load_dataset(write(tmp_path, "ucf101", UCF), tmp_path)
    assert dataset.classes == ("Archery", "YoYo")
    ids_of = splits(dataset)
    assert ids_of.pop("test") == ["YoYo/v_YoYo_g01_c03"]
    archery = ["Archery/v_Archery_g08_c01", "Archery/v_Archery_g08_c02"]
    assert sorted(ids_of.values()) == [archery, ["YoYo/v_YoYo_g09_c01"]]


def test_a_name_that_leaves_the_folder_is_refused(tmp_path: Path) -> None:
    manifest = write(tmp_path, "jhmdb", {"splits/pour_test_split2.txt": "a.avi 1\n"})
    (tmp_path / "jhmdb/splits/pour_test_split2.txt").write_text("../a.avi 1\n")
    with pytest.raises(ManifestError, match="a path inside"):
        load_dataset(manifest, tmp_path)


@pytest.mark.real_data
def test_real_names(sample_data: Path, tmp_path: Path) -> None:
    with (sample_data / "jhmdb" / "labels.csv").open() as file:
        rows = list(csv.DictReader(file))
    files: dict[str, str] = {}
    for row in rows:
        path = f"splits/{row['label']}_test_split2.txt"
        line = f"{row['video'].partition('/')[2]}.avi {2 if row['split'] == 'test' else 1}\n"
        files[path] = files.get(path, "") + line
    dataset = load_dataset(write(tmp_path, "jhmdb", files), tmp_path)
    counts = Counter(segment.split for segment in dataset.segments)
    assert counts["test"] == 268
    assert 80 <= counts["validation"] <= 120
    groups = {row["video"]: row["group"] for row in rows}
    assert {name: film_of(name) for name in groups} == groups
    assert not check_dataset(tmp_path / "jhmdb.toml", tmp_path)["warnings"]
