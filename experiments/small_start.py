"""Train the initial weights `small`: a ResNet-18 of width 32 on Tiny ImageNet.

    python experiments/small_start.py tiny_imagenet.h5 small_resnet18.pth
    python experiments/small_start.py tiny-imagenet-200 small_resnet18.pth   # the published folder

The file holds the weights in float16 and the statistics of batch normalization in float32, under
torchvision's names, without the classifier. The accuracy that is printed last is measured with the
rounded weights. One state per epoch lies next to the output, so that a rerun resumes.

N images, B images of a batch, C classes.
"""

import argparse
import json
import time
from itertools import pairwise
from pathlib import Path

import cv2
import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.nn import functional

from orn.stage2_train.model.build import build_network
from orn.stage2_train.model.image_weights import export_resnet
from orn.stage2_train.settings.model_config import NetworkConfig

_SIDE = 64
_NUM_CLASSES = 200
_BATCH = 128
_LARGEST_RATE = 0.3
_WEIGHT_DECAY = 5e-4
_SMOOTHING = 0.1
_SMALLEST_CROP = 0.4
"""Smallest area of a random crop, as a fraction of the image."""

Images = tuple[NDArray[np.uint8], NDArray[np.int64]]
"""(N, 64, 64, 3) RGB images, and (N,) classes."""


def read_file(path: Path) -> tuple[Images, Images]:
    """Return the training and the validation images of an HDF5 file with encoded images."""
    import h5py

    with h5py.File(path) as file:
        encoded, offsets = file["images"][:], file["offsets"][:]
        labels, validation = file["labels"][:].astype(np.int64), file["validation"][:]
    images = np.stack([_decoded(encoded[start:stop]) for start, stop in pairwise(offsets)])
    return (images[~validation], labels[~validation]), (images[validation], labels[validation])


def read_folder(root: Path) -> tuple[Images, Images]:
    """Return the training and the validation images of the published folder: `wnids.txt`,
    `train/WNID/images/*.JPEG`, and `val/images/*.JPEG` with `val/val_annotations.txt`."""
    wnids = (root / "wnids.txt").read_text().split()
    train = [
        (path, label)
        for label, wnid in enumerate(wnids)
        for path in sorted((root / "train" / wnid / "images").glob("*.JPEG"))
    ]
    lines = (root / "val" / "val_annotations.txt").read_text().splitlines()
    rows = [line.split("\t") for line in lines]
    validation = [(root / "val" / "images" / row[0], wnids.index(row[1])) for row in rows]
    return _read_images(train), _read_images(validation)


def _read_images(files: list[tuple[Path, int]]) -> Images:
    images = [_decoded(np.fromfile(path, np.uint8)) for path, _ in files]
    return np.stack(images), np.array([label for _, label in files])


def _decoded(encoded: NDArray[np.uint8]) -> NDArray[np.uint8]:
    image = cv2.imdecode(encoded, cv2.IMREAD_COLOR)
    return cv2.cvtColor(image, cv2.COLOR_BGR2RGB)


def small_network(width: int) -> nn.Module:
    """Return a network of frames only: a 2D ResNet-18, the mean over its features, a classifier."""
    config = NetworkConfig(
        num_activities=_NUM_CLASSES,
        heads="activity",
        backbone="resnet18",
        base_width=width,
        kernels=("2d",) * 5,
        aggregation="mean",
    )
    return build_network(config).to(memory_format=torch.channels_last)


def logits_of(network: nn.Module, images_B3HW: Tensor) -> Tensor:
    """Return (B, C) logits of images with values from 0 to 255."""
    frames_B3HW = network.normalize_frames(images_B3HW[:, None])
    return network.activity_head(network.trunk(frames_B3HW, 1), 1)


def augmented(images_B3HW: Tensor, generator: torch.Generator) -> Tensor:
    """Return random square crops of the images, resized to their size, half of them mirrored."""
    number = len(images_B3HW)
    area_B, flip_B, x_B, y_B = torch.rand(4, number, generator=generator)
    scale_B = (_SMALLEST_CROP + (1 - _SMALLEST_CROP) * area_B).sqrt()
    theta_B23 = torch.zeros(number, 2, 3)
    theta_B23[:, 0, 0] = torch.where(flip_B < 0.5, scale_B, -scale_B)
    theta_B23[:, 1, 1] = scale_B
    theta_B23[:, 0, 2] = (2 * x_B - 1) * (1 - scale_B)
    theta_B23[:, 1, 2] = (2 * y_B - 1) * (1 - scale_B)
    grid = functional.affine_grid(theta_B23, list(images_B3HW.shape), align_corners=False)
    return functional.grid_sample(images_B3HW, grid, padding_mode="reflection", align_corners=False)


def as_batch(images_BHW3: NDArray[np.uint8]) -> Tensor:
    """Return (B, 3, H, W) floats from 0 to 255."""
    return torch.from_numpy(images_BHW3).permute(0, 3, 1, 2).float()


def train(
    network: nn.Module, data: Images, validation: Images, *, epochs: int, seed: int, state: Path
) -> None:
    """Train with stochastic gradient descent and one cycle of the learning rate."""
    images, labels = data
    size = min(_BATCH, len(images))
    num_steps = epochs * (len(images) // size)
    optimizer = torch.optim.SGD(
        [
            {"params": [each for each in network.parameters() if each.ndim > 1]},
            {
                "params": [each for each in network.parameters() if each.ndim <= 1],
                "weight_decay": 0,
            },
        ],
        lr=_LARGEST_RATE,
        momentum=0.9,
        nesterov=True,
        weight_decay=_WEIGHT_DECAY,
    )
    schedule = torch.optim.lr_scheduler.OneCycleLR(
        optimizer, _LARGEST_RATE, total_steps=num_steps, pct_start=0.2, cycle_momentum=False
    )
    first = 0
    if state.exists():
        saved = torch.load(state, weights_only=True)
        network.load_state_dict(saved["network"])
        optimizer.load_state_dict(saved["optimizer"])
        schedule.load_state_dict(saved["schedule"])
        first = saved["epochs"]
    for epoch in range(first, epochs):
        started, losses = time.process_time(), []
        network.train()
        generator = torch.Generator().manual_seed(seed * 1000 + epoch)
        order = torch.randperm(len(images), generator=generator).numpy()
        for start in range(0, len(images) - size + 1, size):
            places = order[start : start + size]
            batch_B3HW = augmented(as_batch(images[places]), generator)
            with torch.autocast("cpu", torch.bfloat16):
                logits_BC = logits_of(network, batch_B3HW)
            loss = functional.cross_entropy(
                logits_BC.float(), torch.from_numpy(labels[places]), label_smoothing=_SMOOTHING
            )
            optimizer.zero_grad(set_to_none=True)
            loss.backward()
            optimizer.step()
            schedule.step()
            losses.append(float(loss.detach()))
        line = {
            "epoch": epoch + 1,
            "loss": round(float(np.mean(losses)), 4),
            "top1": round(100 * accuracy(network, validation), 2),
            "cpu_seconds": round(time.process_time() - started, 1),
        }
        print(json.dumps(line), flush=True)
        parts = {"network": network, "optimizer": optimizer, "schedule": schedule}
        saved = {name: part.state_dict() for name, part in parts.items()} | {"epochs": epoch + 1}
        torch.save(saved, state.with_suffix(".writing"))
        state.with_suffix(".writing").rename(state)


@torch.inference_mode()
def accuracy(network: nn.Module, data: Images) -> float:
    """Return the fraction of images whose class has the highest logit, in float32."""
    images, labels = data
    network.eval()
    hits = 0
    for start in range(0, len(images), _BATCH):
        logits_BC = logits_of(network, as_batch(images[start : start + _BATCH]))
        hits += int((logits_BC.argmax(1).numpy() == labels[start : start + _BATCH]).sum())
    return hits / len(images)


def rounded(weights: dict[str, Tensor]) -> dict[str, Tensor]:
    """Return weights in float16, and the statistics of batch normalization in float32."""
    return {
        name: tensor.contiguous() if "running_" in name else tensor.half().contiguous()
        for name, tensor in weights.items()
        if not name.endswith("num_batches_tracked")
    }


def main() -> None:
    """Train, round and save."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("source", type=Path)
    parser.add_argument("out", type=Path)
    parser.add_argument("--width", type=int, default=32)
    parser.add_argument("--epochs", type=int, default=18)
    parser.add_argument("--seed", type=int, default=0)
    options = parser.parse_args()
    read = read_folder if options.source.is_dir() else read_file
    data, validation = read(options.source)
    torch.manual_seed(options.seed)
    network = small_network(options.width)
    state = options.out.with_suffix(".state")
    train(network, data, validation, epochs=options.epochs, seed=options.seed, state=state)
    weights = rounded(export_resnet(network))
    torch.save(weights, options.out)
    floats = {name: tensor.half().float() for name, tensor in network.state_dict().items()}
    kept = {name: tensor for name, tensor in floats.items() if "running_" not in name}
    network.load_state_dict(kept, strict=False)
    print(json.dumps({"top1_rounded": round(100 * accuracy(network, validation), 2)}))


if __name__ == "__main__":
    main()
