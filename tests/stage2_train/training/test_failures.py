"""What ends a training from outside of it: one line that says what, and the same weights after it.

A loss that is not finite is in test_loop.py and test_step.py, a time limit and a second training in
test_run_start.py, a full disk in runs/test_last_checkpoint.py.
"""

import os
import shutil
from dataclasses import replace

import pytest
import torch

from orn.shared.errors import CheckpointError, TrainingError
from orn.stage2_train.model.network import ObjectVideoNetwork
from orn.stage2_train.settings.recipe import PhaseRecipe
from tests.stage2_train.training.conftest import before_each_step, same_weights
from tests.worlds.films import write_films_shard, write_store


def test_a_truncated_last_checkpoint_costs_the_steps_since_the_one_before(
    whole, run_tiny, tmp_path
) -> None:
    hurt = tmp_path / "hurt"
    for stop, step in ((5, 5), (9, 9)):
        assert run_tiny(hurt, max_steps=stop).state.step == step
    os.truncate(hurt / "last.safetensors", 1000)
    network, folder = whole
    assert same_weights(run_tiny(hurt), network)
    lines = [(run / "metrics.jsonl").read_text().count('"group"') for run in (folder, hurt)]
    assert lines[0] == lines[1]


def test_a_phase_is_not_begun_from_other_weights_than_it_should(
    run_tiny, tiny_recipe, tmp_path
) -> None:
    """Where the best of the phase before has gone, since two checkpoints were lost."""
    phases = PhaseRecipe(object_head_epochs=1, epochs=2, warm_start="best")
    recipe = replace(tiny_recipe, phases=phases)
    run_tiny(tmp_path, recipe, max_steps=4)
    shutil.copy(tmp_path / "last.safetensors", tmp_path / "kept")
    run_tiny(tmp_path, recipe, max_steps=9)
    shutil.copy(tmp_path / "kept", tmp_path / "previous.safetensors")
    os.truncate(tmp_path / "last.safetensors", 1000)
    with pytest.raises(CheckpointError, match=r"model\.safetensors: .*phase 0"):
        run_tiny(tmp_path, recipe)


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


def test_a_gpu_out_of_memory(run_tiny, tmp_path, monkeypatch) -> None:
    real = ObjectVideoNetwork.forward

    def forward(self, *args, heads, **options):
        if heads == "both":
            raise torch.cuda.OutOfMemoryError(
                "CUDA out of memory. Tried to allocate 2.00 GiB. GPU 0 has a total capacity of "
                "79.1 GiB of which 1.1 GiB is free. Including non-PyTorch memory, this process"
            )
        return real(self, *args, heads=heads, **options)

    monkeypatch.setattr(ObjectVideoNetwork, "forward", forward)
    with pytest.raises(TrainingError, match=r"phase two_heads: .*GPU.*2\.00 GiB.*--run"):
        run_tiny(tmp_path)


def test_data_that_changed_is_named_when_a_run_goes_on(train, tiny_world, tmp_path) -> None:
    """A store that only grew is the same, and so is one that lies elsewhere."""
    films, shards = [*tiny_world.films.values()], tmp_path / "shards"
    grown, changed = tmp_path / "grown", tmp_path / "changed"
    assert "data have changed" not in train("--max-steps", 1).stderr
    shutil.copytree(tiny_world.shards_path, shards)
    write_store(grown, [replace(films[0], id="film/more"), *films])
    said = train("--shards", shards, "--clips", grown, "--max-steps", 2).stderr
    assert "data have changed" not in said
    write_store(changed, [replace(film, colors=film.colors[::-1].copy()) for film in films])
    second = shards / "shard-000001.zarr.zip"
    second.unlink()
    moved = [replace(film, boxes_FN4=film.boxes_FN4[:, ::-1]) for film in films]
    write_films_shard(second, moved[len(films) // 2 :])
    said = train("--shards", shards, "--clips", changed, "--max-steps", 3).stderr
    assert "shard-000001.zarr.zip is '" in said and "clip store is '" in said
    assert "shard-000000" not in said and "; restore" in said
