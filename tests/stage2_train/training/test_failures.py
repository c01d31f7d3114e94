"""What ends a training from outside of it: one line that says what, and the same weights after it.

A loss that is not finite is in test_step.py, a second training in test_run_start.py.
"""

import shutil
from dataclasses import replace

import pytest

from orn.shared.errors import TrainingError
from tests.stage2_train.training.conftest import before_each_step
from tests.worlds.films import write_films_shard, write_store


@pytest.mark.parametrize(
    ("field", "what"),
    [("boxes_BTK4", "boxes"), ("coverage_BTKhw", "coverage"), ("class_scores_BTKS", "class_scor")],
)
def test_a_batch_with_nan_is_named(run_tiny, tmp_path, field, what) -> None:
    """The network would not tell all of them: some of NaN compares as zero."""

    def spoil(_, batches, **options):
        getattr(batches[0], field)[1, 0, 0, 0] = float("nan")

    with (
        before_each_step(spoil),
        pytest.raises(TrainingError, match=rf"step 0: .*{what}\w* of clip film/\d+-seg"),
    ):
        run_tiny(tmp_path, max_steps=1)
    assert not (tmp_path / "last.safetensors").exists()


def test_data_that_changed_is_named_when_a_run_goes_on(train, tiny_world, tmp_path) -> None:
    """A store that only grew is the same, and so is one that lies elsewhere."""
    films, shards = [*tiny_world.films.values()], tmp_path / "shards"
    grown, changed = tmp_path / "grown", tmp_path / "changed"
    assert "have changed" not in train("--max-steps", 1).stderr
    shutil.copytree(tiny_world.shards_path, shards)
    write_store(grown, [replace(films[0], id="film/more"), *films])
    message = train("--shards", shards, "--clips", grown, "--max-steps", 2).stderr
    assert "have changed" not in message
    write_store(changed, [replace(film, colors=film.colors[::-1].copy()) for film in films])
    second = shards / "shard-000001.zarr.zip"
    second.unlink()
    moved = [replace(film, boxes_FN4=film.boxes_FN4[:, ::-1]) for film in films]
    write_films_shard(second, moved[len(films) // 2 :])
    message = train("--shards", shards, "--clips", changed, "--max-steps", 3).stderr
    assert "objects have changed, frames have changed since" in message and "; restore" in message
