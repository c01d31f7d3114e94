"""`orn import-masks` whose worker sends SIGTERM to all processes of the job when it has written a
shard under its temporary name, and stays there.

    python -m tests.stage1_detect.imports.sigterm_import ARGUMENT ...
"""

import os
import signal
import sys
import threading
from pathlib import Path

import orn.shared.jobs.atomic_file
from orn.shared.cli import main
from orn.stage1_detect.imports import planning


def _stop_here(path: Path) -> None:
    os.killpg(os.getpgrp(), signal.SIGTERM)
    threading.Event().wait()


planning.UNIT_FRAMES = 1
if __name__ == "__mp_main__":  # in a worker
    orn.shared.jobs.atomic_file._sync = _stop_here

if __name__ == "__main__":
    main(["import-masks", *sys.argv[1:]])
