"""Infrastructure of long jobs: atomic files, locks, plans, workers, progress, interruption.

A job that writes a folder of files, one for each unit of its plan, consists of:

- a `Kind` (`run.py`), which defines its command and the names of its files, such as
  `shard-000000.zarr.zip`;
- a `Work` object (`work.py`), which is pickled to each process or actor and opened there once on a
  device. The opened worker is called with one unit after another. It writes the unit's file
  atomically (`atomic_file.replacing`) and returns a `UnitResult`. A video that cannot be decoded is
  recorded in the file and in the result; an exception ends the job;
- a `Plan` (`plan.py`) of units, with the `settings` that its files depend on.

`choose_engine` creates the engine from the request's `orn.shared.common_options.EngineOptions`.
Within `Kind.locked(folder)`, the job creates the plan,
`Plan(...).resumed_from(files.saved_plan(folder), folder)`, and calls `run_units`, which processes
the units without a file. `orn detect` (`stage1_detect/job.py`) is an example.
"""
