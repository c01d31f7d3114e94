"""What every long job needs: whole files, one lock, a plan, workers, progress, an orderly end.

A kind of job that makes a folder of whole files, one a unit of its plan, is made of three things:

- a `Kind` (`run.py`) that names its files, such as `shard-000000.zarr.zip`, and its command;
- a work object (`work.Work`), which is pickled to each process or actor and opened there once on
  its device. What it opens is called with one unit after another: it writes the unit's file through
  `atomic_file.replacing`, whole or not at all, and returns a `UnitResult`. A video that cannot be
  read is recorded in the file and in the result; only what ends the job is raised;
- a `Plan` (`plan.py`) of units, with what its files depend on as `settings`.

The request holds `orn.shared.common_options.EngineOptions`, of which `choose_engine` makes the
engine. The job calls `run_units` while it holds `Kind.locked(folder)`, in which it has also made
the plan: `Plan(...).resumed_from(files.saved_plan(folder), folder)`. `run_units` does the units
that have no file. The summary is the kind's own; `orn detect` (`stage1_detect/job.py`) is an
example.
"""
