"""How many threads compute, and that help is quick."""

import subprocess
import sys

import pytest

from orn.shared.errors import ConfigError
from orn.stage2_train import resources
from orn.stage2_train.resources import Resources


@pytest.mark.parametrize(
    ("asked", "variable", "workers", "jobs", "expected"),
    [
        (None, None, 0, 1, 8),
        (None, None, 3, 1, 5),
        (None, None, 1, 2, 3),
        (None, None, 9, 1, 1),
        (None, "2", 0, 1, 2),
        (None, "none", 0, 1, 8),
        (5, "2", 3, 4, 5),
    ],
)
def test_threads_are_the_cores_that_are_left(
    asked, variable, workers, jobs, expected, monkeypatch
) -> None:
    monkeypatch.setattr(resources, "usable_cores", lambda: 8)
    monkeypatch.delenv("OMP_NUM_THREADS", raising=False)
    if variable is not None:
        monkeypatch.setenv("OMP_NUM_THREADS", variable)
    assert Resources(threads=asked, workers=workers).num_threads(jobs=jobs) == expected


def test_a_store_and_none_are_refused(tmp_path) -> None:
    with pytest.raises(ConfigError, match="--clips and --no-clip-store: wanted one of them"):
        Resources(clips=tmp_path / "clips.h5", no_clip_store=True)


def test_help_imports_nothing_heavy() -> None:
    code = (
        "import sys\n"
        "from orn.shared.cli import main\n"
        "for command in sys.argv[1:]:\n"
        "    try:\n        main([command, '--help'])\n    except SystemExit:\n        pass\n"
        "print(*sys.modules, file=sys.stderr)\n"
    )
    commands = ("train", "eval", "ablate", "curve", "systems", "model")
    process = subprocess.run(
        [sys.executable, "-c", code, *commands], capture_output=True, text=True, check=True
    )
    assert process.stdout.count("Usage: ") == len(commands)
    loaded = {name.partition(".")[0] for name in process.stderr.split()}
    assert not loaded & {"torch", "numpy", "pydantic", "h5py", "zarr", "matplotlib"}


@pytest.mark.slow
def test_waiting_threads_sleep_unless_the_user_says_otherwise() -> None:
    code = (
        "import os, sys\n"
        "from orn.shared.cli import main\n"
        "try:\n    main(['train', 'no-such-data-set'])\nexcept SystemExit:\n    pass\n"
        "print(os.environ['OMP_WAIT_POLICY'], os.environ['KMP_BLOCKTIME'])\n"
    )
    environment = {"PATH": "", "PYTHONPATH": ":".join(sys.path), "KMP_BLOCKTIME": "7"}
    process = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True, env=environment
    )
    assert process.stdout == "PASSIVE 7\n"
