"""Shares of a job, for an array of jobs on a cluster: each processes every N-th unit.

Their number is recorded next to the plan. A share holds the lock of the folder only while it reads
and extends the plan, and then a lock of its own.
"""

import re
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Self

from orn.shared.data_files import read_json
from orn.shared.errors import ConfigError
from orn.shared.jobs.atomic_file import locked, write_text
from orn.shared.jobs.plan import SHARES_NAME, OutputFolder

if TYPE_CHECKING:  # slow to import, and options of commands import this module
    from orn.shared.jobs.run_units import Job


@dataclass(frozen=True, slots=True, kw_only=True, order=True)
class Share:
    """A share of a job."""

    number: int
    """From 1 to `total`."""
    total: int

    def __str__(self) -> str:
        """Return the value of `--share`."""
        return f"{self.number}/{self.total}"

    @classmethod
    def parse(cls, text: str) -> Self:
        """Return the share for a value of `--share`; raise ValueError if it is invalid."""
        match = re.fullmatch(r"(\d{1,5})/(\d{1,5})", text)
        number, total = map(int, match.groups()) if match else (0, 0)
        if not 1 <= number <= total:
            raise ValueError(f"expected K/N with K from 1 to N, such as 2/4, got {text!r}")
        return cls(number=number, total=total)

    def of(self, job: "Job") -> "Job":
        """Return this share of a job."""
        units, retried = (
            tuple(unit for unit in units if share_of(unit.index, self.total) == self)
            for units in (job.units, job.retried)
        )
        return replace(job, units=units, retried=retried, is_share=True)


def share_of(unit_index: int, total: int) -> Share:
    """Return the share that processes a unit."""
    return Share(number=unit_index % total + 1, total=total)


@contextmanager
def locked_job(
    files: OutputFolder, folder: Path, share: Share | None, plan: "Callable[[], Job]"
) -> "Iterator[Job]":
    """Plan a job, or a share of it, and lock its folder, or the share, during the block.

    Raises:
        ConfigError: if an unfinished job has a different number of shares.
        PipelineError: if another process holds a lock.
    """
    with ExitStack() as stack:
        with files.locked(folder, is_share=share is not None):
            job = plan()
            if share is None:
                yield job
                return
            total = num_shares(folder)
            if total not in (None, share.total) and files.missing(job.plan.units, folder):
                raise ConfigError(
                    where=folder,
                    expected=f"--share K/{total} as recorded, until all units are finished",
                    got=f"--share {share}",
                    remedy="pass it, or omit --share to process all units that are missing",
                )
            job.plan.save(folder, files.plan)
            write_text(folder / SHARES_NAME, f'{{"shares": {share.total}}}\n')
            stack.enter_context(locked(folder / f"share-{share.number}", job=files.command))
        yield job


def num_shares(folder: Path) -> int | None:
    """Return the recorded number of shares; None if the job has no shares."""
    if not (path := folder / SHARES_NAME).exists():
        return None
    record = read_json(path, error=ConfigError)
    total = record.get("shares") if isinstance(record, dict) else None
    if type(total) is not int or total < 1:
        raise ConfigError("expected the number of shares; remove the file", where=path)
    return total


def missing_shares(files: OutputFolder, folder: Path) -> tuple[str, ...]:
    """Return the shares of a job that miss a file."""
    if (total := num_shares(folder)) is None or (plan := files.saved_plan(folder)) is None:
        return ()
    missing = files.missing(plan.units, folder)
    return tuple(map(str, sorted({share_of(unit.index, total) for unit in missing})))
