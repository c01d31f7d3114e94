"""What all tests share: the repository root on the path, and where real sample files lie."""

import os
import sys
from pathlib import Path

import pytest
from hypothesis import settings

ROOT = Path(__file__).resolve().parents[1]

if str(ROOT) not in sys.path:  # so that tests find `tests.reference`
    sys.path.insert(0, str(ROOT))

# The same examples in every run, and no limit on the time of one: the machine may be busy.
settings.register_profile("project", deadline=None, derandomize=True, max_examples=60)
settings.load_profile("project")


@pytest.fixture(scope="session")
def sample_data() -> Path:
    """The folder with real sample files; the test is skipped where there is none."""
    folder = Path(os.environ.get("ORN_SAMPLE_DATA") or ROOT.parent / "shared" / "data")
    if not (folder / "clips").is_dir():
        pytest.skip(f"no sample files under {folder}; set ORN_SAMPLE_DATA to the folder with them")
    return folder
