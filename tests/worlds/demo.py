"""What `make demo` leaves behind, very small: films, their true objects as shards, clips, a run."""

from contextlib import chdir
from pathlib import Path

from orn.demo.world import write_world
from orn.stage2_train.clip_store.clips_config import ClipsConfig
from orn.stage2_train.clip_store.make_clips import make_clips
from orn.stage2_train.settings.resources import DataAndDevice
from orn.stage2_train.training.train import train
from orn.stage2_train.training.train_config import TrainConfig
from tests.worlds.truth import write_truth_shards

SMALL_DEMO = (
    "model.base_width=4",
    "model.relation_width=16",
    "phases.object_head_epochs=1",
    "phases.epochs=1",
    "optimizer.batch_size=2",
)


def make_small_demo(folder: Path) -> None:
    """Makes data/, shards/demo, clips/demo and runs/demo in a folder."""
    with chdir(folder):  # the run records paths as they are given
        root, shards = Path("data"), Path("shards/demo")
        write_world(root, films={"train": 4, "validation": 2}, seed=0, workers=1)
        write_truth_shards(root / "demo", shards)
        make_clips(ClipsConfig(manifest="demo", data_root=root))
        train(
            TrainConfig(
                manifest="demo",
                resources=DataAndDevice(device="cpu", threads=1),
                overrides=SMALL_DEMO,
                run=Path("runs/demo"),
            )
        )
