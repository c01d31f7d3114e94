"""What commands take where no run is named; the first line on stderr says what.

Imports nothing heavy before it is called.
"""

import shlex
from pathlib import Path

from orn.shared.echo import echo, is_first_process
from orn.shared.errors import ConfigError


def chosen_run(run: str | Path | None, dataset: str | None = None) -> Path:
    """Return the folder of the run that is given, or of the newest one, on a data set or any, and
    say which.

    Raises:
        ConfigError: there is none.
        PipelineError: as `local_folder`.
    """
    from orn.shared.manifests.load import load_manifest
    from orn.stage2_train.runs.hub import local_folder
    from orn.stage2_train.runs.run_folder import dataset_of, newest_run

    if run is not None:
        return local_folder(run)
    name = None if dataset is None else load_manifest(dataset).name
    newest = newest_run(name)
    if newest is None:
        wanted, commands = "a run", "`make demo`, or `make detect DATASET=...` and `orn train`,"
        if dataset is not None:
            wanted, commands = f"a run on {name}", f"`{shlex.join(('orn', 'train', dataset))}`"
        raise ConfigError(
            f"runs: expected {wanted} with best weights, got none; type {commands} first, or name "
            "the folder of one that lies elsewhere"
        )
    if is_first_process():
        echo(f"{newest}: the newest run on {name or dataset_of(newest)}", err=True)
    return newest
