"""A world is the same however it is drawn, goes on where it was, and never mixes with another."""

from pathlib import Path

import pytest

from orn.demo.scene import LABELS, plan_scene
from orn.demo.world import Film, write_world
from orn.shared.errors import ConfigError

FILMS = {"train": 5, "validation": 2, "test": 0}


def draw(root: Path, *, seed: int = 0, workers: int = 1) -> int:
    return write_world(root, films=FILMS, seed=seed, workers=workers)


def content(folder: Path) -> dict[str, bytes]:
    files = (path for path in sorted(folder.rglob("*")) if path.is_file())
    return {str(path.relative_to(folder)): path.read_bytes() for path in files}


@pytest.fixture(scope="module")
def drawn(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("world")
    draw(root)
    return root


def test_neither_processes_nor_an_interruption_change_a_world(drawn, tmp_path) -> None:
    assert draw(tmp_path, workers=2) == 7
    assert content(tmp_path / "demo") == content(drawn / "demo")
    for name in ("labels.csv", "videos/train-000003.mp4"):
        (tmp_path / "demo" / name).unlink()
    assert draw(tmp_path) == 1
    assert content(tmp_path / "demo") == content(drawn / "demo")


def test_a_whole_world_is_left_alone_and_another_refused(drawn: Path) -> None:
    assert draw(drawn) == 0
    with pytest.raises(ConfigError, match="changed: seed is 0 as recorded, 1 as requested; remove"):
        draw(drawn, seed=1)


def test_labels_are_those_of_the_films(drawn: Path) -> None:
    _, *rows = (drawn / "demo" / "labels.csv").read_text().splitlines()
    world = {
        film.id: plan_scene(film.rng()).label
        for part, count in FILMS.items()
        for film in (Film(part=part, number=number, seed=0) for number in range(count))
    }
    assert dict(row.split(",")[:2] for row in rows) == world
    assert (drawn / "demo" / "classes.txt").read_text().splitlines() == [*LABELS]


def test_parts_and_seeds_never_share_a_film() -> None:
    draws = {
        tuple(Film(part=part, number=number, seed=seed).rng().integers(2**31, size=3))
        for seed in (0, 1)
        for part in ("train", "validation")
        for number in range(3)
    }
    assert len(draws) == 12
