"""What ends a training from outside of it: one line that says what, and the same weights after it.

A loss that is not finite is in test_loop.py and test_step.py, a time limit and a second training in
test_one_at_a_time.py, a full disk in runs/test_last_checkpoint.py.
"""

import os
import pickle
import shutil
import signal
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from click.testing import CliRunner

from orn.shared.cli import orn
from orn.shared.errors import CheckpointError, ClipStoreError, PipelineError, TrainingError
from orn.shared.jobs.termination import Terminated, terminated_as_interrupted
from orn.shared.shards import kept_files
from orn.shared.shards.reader import DetectionFolder
from orn.stage2_train.clips.batches import ClipBatch, LoaderSettings, training_loader
from orn.stage2_train.clips.dataset import ClipDataset
from orn.stage2_train.devices import build_accelerator
from orn.stage2_train.frames.reader import ClipStore
from orn.stage2_train.model.network import ObjectVideoNetwork
from orn.stage2_train.recipe import PhaseRecipe
from orn.stage2_train.runs.checkpoint import load_checkpoint
from orn.stage2_train.runs.phases import plan_phases
from orn.stage2_train.runs.sources import Sources
from orn.stage2_train.training import loop
from orn.stage2_train.training.backbone import apply_backbone_options
from orn.stage2_train.training.failures import out_of_memory
from tests.worlds.films import make_workspace, write_films_shard, write_store

MEMORY_SHARE = 0.12
"""How far what a step keeps may be from the share that is told."""


def same_weights(one: Path, other: Path) -> bool:
    """Whether the last checkpoints of two runs are equal to the bit."""
    ours, theirs = (load_checkpoint(run / "last.pt").model for run in (one, other))
    return all(torch.equal(ours[name], theirs[name]) for name in ours)


@pytest.fixture(scope="module")
def whole(run_tiny, tmp_path_factory) -> Path:
    """The folder of a training that nothing ended."""
    folder = tmp_path_factory.mktemp("whole")
    run_tiny(folder)
    return folder


def test_a_truncated_last_checkpoint_costs_the_steps_since_the_one_before(
    whole, run_tiny, tmp_path
) -> None:
    hurt = tmp_path / "hurt"
    for stop, step in ((5, 5), (9, 9)):
        assert run_tiny(hurt, max_steps=stop).state.step == step
    os.truncate(hurt / "last.pt", 1000)
    run_tiny(hurt)
    assert same_weights(whole, hurt)
    lines = [(run / "metrics.jsonl").read_text().count('"group"') for run in (whole, hurt)]
    assert lines[0] == lines[1]


def test_a_phase_is_not_begun_from_other_weights_than_it_should(
    run_tiny, tiny_recipe, tmp_path
) -> None:
    """Where the best of the phase before has gone, since two checkpoints were lost."""
    phases = PhaseRecipe(object_head_epochs=1, epochs=2, hand_over="best")
    recipe = replace(tiny_recipe, phases=phases)
    run_tiny(tmp_path, recipe, max_steps=4)
    shutil.copy(tmp_path / "last.pt", tmp_path / "kept.pt")
    run_tiny(tmp_path, recipe, max_steps=9)
    shutil.copy(tmp_path / "kept.pt", tmp_path / "previous.pt")
    os.truncate(tmp_path / "last.pt", 1000)
    with pytest.raises(CheckpointError, match=r"best\.pt: wanted the best checkpoint of phase 0"):
        run_tiny(tmp_path, recipe)


@pytest.mark.parametrize(
    ("field", "what"),
    [("boxes_BTK4", "boxes"), ("coverage_BTKhw", "coverage"), ("class_scores_BTKS", "class_scor")],
)
def test_a_batch_with_nan_is_named(run_tiny, tmp_path, monkeypatch, field, what) -> None:
    """The network would not tell all of them: some of NaN compares as zero."""
    real = loop.training_step

    def spoil(accelerator, model, optimiser, batches, **options):
        getattr(batches[0], field)[1, 0, 0, 0] = float("nan")
        return real(accelerator, model, optimiser, batches, **options)

    monkeypatch.setattr(loop, "training_step", spoil)
    with pytest.raises(
        TrainingError, match=rf"step 0: .* others in {what}\w* of clip film/\d+-seg"
    ):
        run_tiny(tmp_path, max_steps=1)
    assert not (tmp_path / "last.pt").exists()


class DyingClips(ClipDataset):
    """Ends the process that asks for a clip of the second epoch."""

    def __getitem__(self, request):
        if request.epoch == 1:
            os.kill(os.getpid(), signal.SIGKILL)
        return super().__getitem__(request)


@pytest.mark.slow  # the next one knows torch's words; what follows is a kill as any other
def test_a_worker_process_that_dies(run_tiny, tmp_path, monkeypatch) -> None:
    run_tiny(tmp_path / "whole", without_validation=True)
    with monkeypatch.context() as patch:
        patch.setattr("orn.stage2_train.runs.sources.ClipDataset", DyingClips)
        with pytest.raises(TrainingError, match=r"made batches ended \(pid.*give fewer --workers"):
            run_tiny(tmp_path / "run", workers=1, without_validation=True)
    run_tiny(tmp_path / "run", without_validation=True)
    assert same_weights(tmp_path / "whole", tmp_path / "run")


@pytest.mark.parametrize(
    "words",
    [
        "DataLoader worker (pid 7) is killed by signal: Killed. ",
        "DataLoader worker (pid(s) 7) exited unexpectedly",
    ],
)
def test_a_worker_process_that_died_is_told_wherever_torch_notices(
    run_tiny, tmp_path, monkeypatch, words
) -> None:
    def notice(*args, **options):
        raise RuntimeError(words)

    monkeypatch.setattr(loop, "training_step", notice)
    with pytest.raises(
        TrainingError, match=r"made batches ended \(pid.* 7\).*give fewer --workers"
    ):
        run_tiny(tmp_path)


def test_other_errors_stay_what_they_are(run_tiny, tmp_path, monkeypatch) -> None:
    def fail(*args, **options):
        raise RuntimeError("a defect")

    monkeypatch.setattr(loop, "training_step", fail)
    with pytest.raises(RuntimeError, match="a defect"):
        run_tiny(tmp_path)


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
    with pytest.raises(TrainingError) as caught:
        run_tiny(tmp_path)
    assert str(caught.value) == (
        "phase two_heads: the GPU is out of memory (Tried to allocate 2.00 GiB) with "
        "optimiser.batch_size=2, 4 frames of 32 x 48 a clip, precision fp32; give another --run "
        "with one of --set optimiser.batch_size=1 (saves about 50 %), data.clip_frames=2 (saves "
        "about 50 %), data.crop=[16,32] (saves about 67 %), precision=bf16 (saves about 30 %), "
        "checkpoint_activations=true (saves about 50 %); optimiser.accumulation=2 makes up for "
        "half a batch, checkpoint_activations changes no weights"
    )


def test_what_is_small_already_is_not_made_smaller(tiny_recipe) -> None:
    recipe = replace(
        tiny_recipe,
        precision="bf16",
        checkpoint_activations=True,
        data=replace(tiny_recipe.data, crop=(224, 224)),
        phases=PhaseRecipe(object_head_epochs=1, epochs=1, object_head_batch_size=6),
    )
    first, second = plan_phases(recipe, num_segments=8)
    text = out_of_memory("", recipe, first, num_frames=2, grown_bytes=10 << 30)
    assert "--set phases.object_head_batch_size=3 (saves about 50 %, 5.0 GiB), data.crop=" in text
    assert "crop=[160,160] (saves about 49 %, 4.9 GiB); optimiser.accumulation" in text
    text = out_of_memory("", replace(recipe, compile=False), second, num_frames=8, grown_bytes=0)
    assert "--set optimiser.batch_size=1 (saves about 50 %), data.clip_frames=4 (saves" in text


def kept_bytes(recipe, world) -> int:
    """What a step keeps for its gradient, each storage once."""
    sources = Sources(dataset=world.dataset, clips=world.clips(), detections=world.detections())
    clips = sources.clip_dataset(sources.join("train", recipe), recipe)
    settings = LoaderSettings(batch_size=recipe.optimiser.batch_size)
    batch: ClipBatch = next(iter(training_loader(clips, settings, epochs=range(1))))
    torch.manual_seed(0)
    network = ObjectVideoNetwork(recipe.model).train()
    apply_backbone_options(network, recipe, torch.device("cpu"))
    own = {weight.untyped_storage().data_ptr() for weight in network.parameters()}
    kept: dict[int, int] = {}

    def note(tensor):
        storage = tensor.untyped_storage()
        if storage.data_ptr() not in own:
            kept[storage.data_ptr()] = storage.nbytes()
        return tensor

    accelerator = build_accelerator(recipe.precision, "cpu")
    hooks = torch.autograd.graph.saved_tensors_hooks(note, lambda tensor: tensor)
    with hooks, accelerator.autocast():
        output = network(batch.inputs(), heads="both", generator=torch.Generator())
    assert output.logits_BA.requires_grad  # what is kept lives as long as it
    return sum(kept.values())


def test_the_shares_that_are_told_are_those_that_are_saved(tiny_recipe, tiny_world) -> None:
    recipe = replace(
        tiny_recipe,
        model=replace(tiny_recipe.model, base_width=8),
        data=replace(tiny_recipe.data, clip_frames=4, crop=(48, 64)),
        optimiser=replace(tiny_recipe.optimiser, batch_size=4),
    )
    whole = kept_bytes(recipe, tiny_world)
    for changed, told in (
        (replace(recipe, optimiser=replace(recipe.optimiser, batch_size=2)), 0.5),
        (replace(recipe, data=replace(recipe.data, clip_frames=2)), 0.5),
        (replace(recipe, data=replace(recipe.data, crop=(32, 48))), 0.5),
        (replace(recipe, precision="bf16"), 0.7),
        (replace(recipe, checkpoint_activations=True), 0.5),
    ):
        assert kept_bytes(changed, tiny_world) / whole == pytest.approx(told, abs=MEMORY_SHARE)


def test_sigterm_ends_a_training_that_goes_on(whole, run_tiny, tmp_path, monkeypatch) -> None:
    real = loop.training_step

    def terminated(*args, **options):
        if options["step"] == 6:
            os.kill(os.getpid(), signal.SIGTERM)
        return real(*args, **options)

    with monkeypatch.context() as patch:
        patch.setattr(loop, "training_step", terminated)
        with pytest.raises(Terminated), terminated_as_interrupted():
            run_tiny(tmp_path / "run")
    run_tiny(tmp_path / "run")
    assert same_weights(whole, tmp_path / "run")


def test_a_shard_that_vanishes_is_named(run_tiny, tiny_world, tmp_path, monkeypatch) -> None:
    shards = tmp_path / "shards"
    shutil.copytree(tiny_world.shards_path, shards)
    folder = DetectionFolder(shards, cache_bytes=0)
    monkeypatch.setattr(type(tiny_world), "detections", lambda self: folder)
    real = loop.training_step

    def remove(*args, **options):
        for path in shards.glob("shard-*"):
            path.unlink()
        kept_files._kept.clear()  # what is open is read on
        return real(*args, **options)

    monkeypatch.setattr(loop, "training_step", remove)
    with pytest.raises(PipelineError, match=r"shard-00000\d\.zarr\.zip: no such shard"):
        run_tiny(tmp_path / "run")


def test_data_that_changed_is_named_when_a_run_goes_on(tiny_world, tmp_path) -> None:
    """A store that only grew is the same, and so is one that lies elsewhere."""
    options = make_workspace(tiny_world, tmp_path)
    films = [*tiny_world.films.values()]
    half = len(films) // 2

    def train(shards: Path, clips: Path, step: int) -> str:
        given = options | {"--shards": str(shards), "--clips": str(clips)}
        manifest, *flags = given.pop("manifest"), *(word for pair in given.items() for word in pair)
        result = CliRunner().invoke(orn, ["train", manifest, *flags, "--max-steps", str(step)])
        assert result.exit_code == 0, result.stderr
        return result.stderr

    assert "other data" not in train(tiny_world.shards_path, tiny_world.store_path, 1)
    shutil.copytree(tiny_world.shards_path, tmp_path / "shards")
    more = replace(films[0], id="film/more")
    write_store(tmp_path / "grown.h5", [more, *films])
    assert "other data" not in train(tmp_path / "shards", tmp_path / "grown.h5", 2)
    changed = [replace(film, colours=film.colours[::-1].copy()) for film in films]
    write_store(tmp_path / "changed.h5", changed)
    (tmp_path / "shards" / "shard-000001.zarr.zip").unlink()
    write_films_shard(
        tmp_path / "shards" / "shard-000001.zarr.zip", films[half:], class_scores=False
    )
    said = train(tmp_path / "shards", tmp_path / "changed.h5", 3)
    assert "began with: shard-000001.zarr.zip, clip store changed; bring that back" in said
    (Path(options["--run"]) / "data.json").write_text("[1]")
    assert "data.json: does not say" in train(tmp_path / "shards", tmp_path / "changed.h5", 4)


def test_a_clip_store_that_changes_or_vanishes_is_told_to_processes_that_start(
    tiny_world, tmp_path
) -> None:
    films, path = [*tiny_world.films.values()], tmp_path / "clips.h5"
    write_store(path, films)
    store = ClipStore(path)
    write_store(tmp_path / "grown.h5", [*films, replace(films[0], id="film/more")])
    (tmp_path / "grown.h5").replace(path)
    assert pickle.loads(pickle.dumps(store)).digest(store.ids) == store.digest(store.ids)
    changed = [replace(film, colours=film.colours[::-1].copy()) for film in films]
    write_store(tmp_path / "changed.h5", changed)
    (tmp_path / "changed.h5").replace(path)
    with pytest.raises(ClipStoreError, match=r"clips\.h5: the clip store has changed since it"):
        pickle.dumps(store)
    path.unlink()
    with pytest.raises(ClipStoreError, match=r"clips\.h5: there is no clip store"):
        pickle.dumps(store)
    assert store.frames(films[0].id).read(np.array([0])).shape == (1, 48, 72, 3)
