"""Shares of a job: which units are theirs, and what their locks keep out."""

from dataclasses import replace
from pathlib import Path

import pytest

from orn.shared.errors import ConfigError, PipelineError
from orn.shared.jobs.plan import Plan
from orn.shared.jobs.run_units import IN_THIS_PROCESS, Job, run_units
from orn.shared.jobs.shares import SHARES_NAME, Share, locked_job, missing_shares, num_shares
from tests.shared.jobs.text_work import TEXTS, UNITS, WHOLE, TextWork, texts_in

PLAN = Plan(dataset="texts", frames="all", units=UNITS)


share = Share.parse


def job_in(folder: Path, text: str | None = None, plan: Plan = PLAN) -> Job:
    job = Job(files=TEXTS, folder=folder, plan=plan, units=plan.units)
    return job if text is None else share(text).of(job)


def write(folder: Path, text: str | None = None) -> None:
    own = None if text is None else share(text)
    with locked_job(TEXTS, folder, own, lambda: job_in(folder, text)) as job:
        run_units(job, TextWork(folder=folder), IN_THIS_PROCESS, task="write", steps="frames")


def test_every_unit_belongs_to_one_share(tmp_path: Path) -> None:
    assert missing_shares(TEXTS, tmp_path) == ()
    for text, left in (("2/2", ("1/2",)), ("1/2", ())):
        write(tmp_path, text)
        assert missing_shares(TEXTS, tmp_path) == left
    assert texts_in(tmp_path) == WHOLE
    assert not list(tmp_path.glob(".*"))
    for number, expected in (("1/2", [0, 2]), ("2/2", [1]), ("3/3", [2]), ("5/5", [])):
        assert [unit.index for unit in job_in(tmp_path, number).units] == expected
    assert sorted(path.name for path in TEXTS.earlier(tmp_path).files) == sorted(
        [*WHOLE, SHARES_NAME, "plan.json"]
    )


def test_a_number_of_shares_changes_only_when_all_units_are_there(tmp_path: Path) -> None:
    write(tmp_path, "1/2")
    with pytest.raises(
        ConfigError, match=r"--share K/2 as recorded.* got --share 1/3; .*omit --share"
    ):
        write(tmp_path, "1/3")
    write(tmp_path)
    write(tmp_path, "1/3")
    assert num_shares(tmp_path) == 3
    (tmp_path / SHARES_NAME).write_text('{"shares": "x"}')
    with pytest.raises(ConfigError, match=f"{SHARES_NAME}: expected the number of shares; remove"):
        num_shares(tmp_path)


def test_the_same_part_and_the_whole_job_are_locked_out_but_no_other_part(tmp_path: Path) -> None:
    with locked_job(TEXTS, tmp_path, share("1/3"), lambda: job_in(tmp_path, "1/3")):
        for text in ("1/3", None):
            with pytest.raises(PipelineError, match=r"share-1: another `orn write` \("):
                write(tmp_path, text)
        write(tmp_path, "2/3")
        assert texts_in(tmp_path).keys() == {"text-000001.txt"}


def test_a_part_does_not_undo_what_another_one_added_to_the_plan(tmp_path: Path) -> None:
    short = replace(PLAN, units=UNITS[:1])
    own = lambda: job_in(tmp_path, "1/3", short)  # noqa: E731
    with locked_job(TEXTS, tmp_path, share("1/3"), own) as job:
        write(tmp_path, "2/3")
        run_units(job, TextWork(folder=tmp_path), IN_THIS_PROCESS, task="write", steps="frames")
    assert TEXTS.saved_plan(tmp_path) == PLAN
    assert missing_shares(TEXTS, tmp_path) == ("3/3",)
