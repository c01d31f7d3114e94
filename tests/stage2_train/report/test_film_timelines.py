"""Timelines of evaluated films: the intervals of the table beside found ones."""

from pathlib import Path
from unittest.mock import Mock

import numpy as np
import pytest

from orn.stage2_train.report import film_timelines
from orn.stage2_train.report.eval_results import Measured
from orn.stage2_train.report.film_timelines import FilmLink, write_timelines
from orn.stage2_train.report.timeline_page import Timeline
from orn.stage2_train.runs.film_results import FilmResults, FilmRow

CLASSES = ("close", "open", "none")


def row(video: str, true: tuple, found: tuple) -> FilmRow:
    values = {"group": video, "end": 2.0, "frame_seconds": 0.5, "observed": ((None, None),)}
    return FilmRow(video=video, true=true, found=found, **values)


def measured(*rows: FilmRow, trained_on: bool = False) -> Measured:
    """Two films of four described times, in any order, the second with all probability on open."""
    films = FilmResults.model_construct(films=rows, rate=2.0)
    ids = [f"{own.video}@{seconds}" for seconds in (1.5, 1, 0.5, 0) for own in rows]
    chances_NA = np.zeros((8, 3), np.float32)
    chances_NA[::2, 0], chances_NA[1::2, 1] = (0.8, 0.6, 0.4, 0.2), 1.0
    return Mock(
        file=Mock(films=films, trained_on=trained_on),
        predictions=Mock(ids=ids),
        probability_NA=chances_NA,
        single=True,
        classes=CLASSES,
    )


def test_a_person_corrects_the_table_beside_what_was_found(tmp_path, monkeypatch) -> None:
    drawn: dict[Path, Timeline] = {}
    monkeypatch.setattr(film_timelines, "write_timeline", drawn.__setitem__)
    rows = row("a.mp4", ((0.5, 1.5, 0),), ((0.5, 1.4, 0, 0.9),)), row("b c.mp4", ((0, 1, 0),), ())
    (tmp_path / "films").mkdir()
    (tmp_path / "films" / "a.mp4").touch()
    files = {own.video: tmp_path / "films" / own.video for own in rows}
    links = write_timelines(tmp_path / "run", measured(*rows), files, "orn manifest update")
    assert links == [
        FilmLink(video="b c.mp4", address="timelines/b%20c.mp4.html", differences=1),
        FilmLink(video="a.mp4", address="timelines/a.mp4.html", differences=0),
    ]
    one, other = drawn.values()
    assert [*drawn] == [
        tmp_path / "run/timelines/a.mp4.html",
        tmp_path / "run/timelines/b c.mp4.html",
    ]
    assert (one.film, other.film) == ("../../films/a.mp4", None)
    (given,) = one.intervals
    assert (given.start, given.stop, given.label) == (0.5, 1.5, "close")
    assert given.probability == pytest.approx((0.4 + 0.6) / 2)
    assert one.found == ((0.5, 1.4, "close"),)
    assert one.times.tolist() == [0, 0.5, 1, 1.5] and one.classes == ("close", "open")
    assert one.probabilities[:, 0] == pytest.approx([0.2, 0.4, 0.6, 0.8])
    assert other.probabilities.tolist() == [[0, 1]] * 4


def test_films_that_trained_the_model_have_no_timelines(tmp_path) -> None:
    own = measured(row("a.mp4", (), ()), row("b.mp4", (), ()), trained_on=True)
    assert write_timelines(tmp_path, own, {}, None) == []
