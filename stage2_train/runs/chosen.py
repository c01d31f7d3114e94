"""The run that commands use if none is given; a line on stderr reports it.

Heavy imports are inside functions.
"""

import shlex
from pathlib import Path

from orn.shared.echo import echo, is_first_process
from orn.shared.errors import ConfigError


def chosen_run(run: str | Path | None, dataset: str | None = None) -> Path:
    """Return the folder of a given run, or find the newest run, optionally for one data set, and
    print it to stderr.

    Raises:
        ConfigError: if there is no run with weights.
        PipelineError: see `local_folder`.
    """
    from orn.shared.manifests.load import load_manifest
    from orn.stage2_train.runs.hub import local_folder
    from orn.stage2_train.runs.run_folder import dataset_of, newest_run

    if run is not None:
        return local_folder(run)
    name = None if dataset is None else load_manifest(dataset).name
    newest = newest_run(name)
    if newest is None:
        expected, commands = "a run", "`make demo`, or `make detect DATASET=...` and `orn train`"
        if dataset is not None:
            expected, commands = f"a run on {name}", f"`{shlex.join(('orn', 'train', dataset))}`"
        raise ConfigError(
            f"runs: expected {expected} with best weights, got none; run {commands} first, or pass "
            "the folder of a run"
        )
    if is_first_process():
        echo(f"{newest}: the newest run on {name or dataset_of(newest)}", err=True)
    return newest
