"""How long a video is taken to be: by its header, as far as the bytes of the file bear it out."""

import logging
from pathlib import Path

import pytest

from orn.shared.video.read import estimate
from tests.bounded import bounded
from tests.shared.video.lying_headers import LIARS, claim_seconds
from tests.worlds.videos import write_numbered


@pytest.mark.parametrize("name", LIARS)
def test_a_header_that_promises_more_than_the_file_can_hold(
    tmp_path: Path, caplog: pytest.LogCaptureFixture, name: str
) -> None:
    codec, lie = LIARS[name]
    path = write_numbered(tmp_path / name, 20, codec=codec)
    lie(path)
    assert bounded(estimate, path).frames == 20
    with caplog.at_level(logging.WARNING):
        assert estimate(path).frames == 20
    (record,) = caplog.records
    assert f"{name}: its header promises " in record.getMessage()
    assert " bytes hold 20; these count" in record.getMessage()


@pytest.mark.parametrize("ticks", [float("nan"), -5e9, 0.0])
def test_a_duration_that_is_none_is_not_believed(tmp_path: Path, ticks: float) -> None:
    path = write_numbered(tmp_path / "a.mkv", 20)
    claim_seconds(path, ticks)
    assert estimate(path).frames == 20


def test_a_film_in_which_nothing_moves_is_counted_and_not_doubted(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    path = write_numbered(tmp_path / "still.mp4", 900, options={"g": "900", "crf": "51"})
    assert path.stat().st_size < 100 * 900
    with caplog.at_level(logging.WARNING):
        assert estimate(path).frames == 900
    assert caplog.records == []


@pytest.mark.parametrize(
    ("names", "seconds"), [(("1", "2", "3"), 0.3), (("7", "900"), 90.0), (("a", "b"), 0.2)]
)
def test_a_folder_is_as_long_as_its_last_number(
    tmp_path: Path, names: tuple[str, ...], seconds: float
) -> None:
    for name in names:
        (tmp_path / f"{name}.jpg").touch()
    found = estimate(tmp_path, rate=10.0)
    assert (found.frames, found.seconds) == (len(names), pytest.approx(seconds))
