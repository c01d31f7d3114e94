"""Infrastructure for long jobs: atomic files, locks, plans, workers, progress, interruption.

A job writes a folder of files, one for each unit of its plan. It consists of:

- its `OutputFolder` (`plan.py`): the command and the names of the files, such as
  `shard-000000.zarr.zip`;
- a `Work` object (`run_units.py`), which is pickled for each process or actor and opened there
  once, on a device. The opened worker is then called with one unit after another. It writes the
  unit's file atomically (`atomic_file.replacing`) and returns a `UnitResult`. A video that cannot
  be decoded is recorded in the file and in the result; an exception ends the job;
- a `Plan` (`plan.py`) of units, with the `settings` on which the files depend.

Within `OutputFolder.locked(folder)`, the command resumes the plan of the folder,
`Plan(...).resumed_from(files.saved_plan(folder), folder)`, appends units for new videos, and calls
`run_units` with a `Job`: the plan, the requested units and those to retry. `shares.locked_job` does
this also for one of several shares. `save_summary` writes what was done. `orn detect`,
`import-objects` and `clips` are such jobs.

May import `config`.
"""
