"""Has another process read a file first, since HDF5's library may crash or never end on damage.

So it did on about one in a thousand stores with a few changed bytes. A file with a seal (`seal`)
that is right needs no trial.
"""

import os
import subprocess
import sys
from pathlib import Path

from shared.errors import ClipStoreError

_SECONDS = 20
_READ = (
    "import sys\n"
    "from pathlib import Path\n"
    "from shared.errors import PipelineError\n"
    "from stage2_train.frames.store_file import read_store\n"
    "try:\n    read_store(Path(sys.argv[1]), is_known=True)\n"
    "except PipelineError:\n    pass\n"  # the caller finds the same
)


def survive_reading(path: Path) -> None:
    """Returns if a process of its own lives through reading a store.

    Raises:
        ClipStoreError: if it does not.
    """
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(filter(None, sys.path))}
    try:
        subprocess.run(
            [sys.executable, "-P", "-c", _READ, str(path.absolute())],
            env=environment,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            timeout=_SECONDS,
            check=True,
        )
    except (subprocess.SubprocessError, OSError) as err:
        how = f"did not end in {_SECONDS} s"
        if isinstance(err, subprocess.CalledProcessError):
            how = f"ended with {err.returncode}"
        elif isinstance(err, OSError):
            how = f"could not start ({err})"
        raise ClipStoreError(
            f"{path}: is damaged so that HDF5's library cannot read it (the process that tried "
            f"{how}); remove it and run `orn clips` again"
        ) from err
