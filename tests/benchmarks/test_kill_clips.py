"""Killing `orn clips`: the tool that does it twenty times, run twice."""

from pathlib import Path

import pytest

from orn.benchmarks.kill_clips import kill_trials


@pytest.mark.slow  # what a kill leaves, and going on from it, is in tests/stage2_train/frames
def test_a_killed_job_completes_to_the_same_bytes(tmp_path: Path) -> None:
    trials = kill_trials(
        tmp_path / "trials", trials=2, num_videos=4, num_frames=40, workers=1, seed=3
    )
    assert len(trials) == 2
    assert all(trial["same_bytes"] for trial in trials)
