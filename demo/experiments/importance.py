"""Measure whether the most important pair of objects is the acting pair (`acting_pairs`).

Axes: P cliques of objects, N groups of cliques, B clips, T frames, K object slots, S fractions of
cliques.
"""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from orn.demo.experiments.acting_pairs import WORLDS, true_cliques
from orn.demo.experiments.importance_summary import SHARES, ClipFindings, draw_curves, summary
from orn.shared.errors import ConfigError
from orn.shared.jobs.atomic_file import write_text
from orn.shared.jobs.progress import progress
from orn.stage2_train.clips.batches import ClipBatch, LoaderSettings, evaluation_loader
from orn.stage2_train.devices import build_accelerator
from orn.stage2_train.explanation.importance import Importance, explain
from orn.stage2_train.model.build import build_network
from orn.stage2_train.resources import Resources
from orn.stage2_train.runs.run_config import RunConfig, read_config
from orn.stage2_train.runs.trained import open_model, sources_of_run

_BATCH_SIZE = 16


def measure_importance(
    run: Path, *, split: str, resources: Resources, correct_only: bool = True
) -> dict[str, Any]:
    """Explain the clips in a split and compare the most important pairs with the acting pairs.

    Args:
        run: folder of a run on a demo data set.
        split: name of the split.
        resources: paths of the data, and devices.
        correct_only: whether to skip clips that the trained network misclassifies.

    Returns:
        The report, which is also written to RUN/importance-SPLIT.json.

    Raises:
        ConfigError: if the acting pairs of the data set are unknown, or the network does not relate
            pairs.
    """
    config = read_config(run)
    if config.dataset.name not in WORLDS:
        raise ConfigError(
            f"{run}: expected a run on {', '.join(WORLDS)}, whose acting pairs are known, got a "
            f"run on {config.dataset.name}; choose a different one"
        )
    if config.recipe.model.clique_size != 2:
        raise ConfigError(
            f"{run}: expected a network that relates pairs, got model.clique_size "
            f"{config.recipe.model.clique_size}; choose a different run"
        )
    torch.set_num_threads(resources.num_threads())
    sources = sources_of_run(run, config, resources)
    joined = sources.join(split, config.recipe)
    joined.require_segments(config.dataset.name)
    clips = sources.clip_dataset(joined, config.recipe)
    device = build_accelerator("fp32", resources.device).device
    trained = open_model(run, device="cpu").network.to(device)
    torch.manual_seed(config.recipe.seed)
    untrained = build_network(config.recipe.model).eval().to(device)
    names = sources.detections.detector.class_names
    loader = LoaderSettings(batch_size=_BATCH_SIZE, workers=resources.workers)
    found: dict[str, list[ClipFindings]] = {"trained": [], "random weights": []}
    with progress("importance", total=len(clips), unit="clips") as bar:
        for batch in evaluation_loader(clips, loader):
            on_device = batch.to(device)
            found["trained"] += _explained(
                trained, on_device, config, names, correct_only=correct_only
            )
            found["random weights"] += _explained(
                untrained, on_device, config, names, correct_only=False
            )
            bar.advance(len(batch))
    if not found["trained"]:
        raise ConfigError(
            f"{run}: expected correctly classified clips in split {split} with a detected acting "
            "pair, got none; train for longer"
        )
    report = {
        "run": str(run),
        "dataset": config.dataset.name,
        "split": split,
        "num_clips": len(clips),
        **{name.replace(" ", "_"): summary(each) for name, each in found.items()},
    }
    write_report(report, run)
    return report


def write_report(report: dict[str, Any], folder: Path) -> None:
    """Write FOLDER/importance-SPLIT.json and the curves as .png."""
    folder.mkdir(parents=True, exist_ok=True)
    text = json.dumps(report, indent=2, allow_nan=False) + "\n"
    write_text(folder / f"importance-{report['split']}.json", text)
    draw_curves(report, folder / f"importance-{report['split']}.png")


def _explained(
    network: nn.Module,
    batch: ClipBatch,
    config: RunConfig,
    names: tuple[str, ...],
    *,
    correct_only: bool,
) -> Iterator[ClipFindings]:
    """Yield the findings for each label of each clip that has its acting pair among its cliques.

    Args:
        network: network to explain.
        batch: clips, on the network's device.
        config: configuration of the run.
        names: names of the detector's classes.
        correct_only: whether to skip labels that the network does not predict.
    """
    clips_B11 = torch.arange(len(batch), device=batch.valid_BTK.device)[:, None, None]
    importance = None
    for class_B, asked_B in _questions(batch.labels, config):
        if importance is None:
            importance = explain(network, batch.inputs(), class_B=class_B)
        else:
            importance = importance.of_classes(class_B)
        true_P = true_cliques(config.dataset.name, config.dataset.classes, names, batch, importance)
        if correct_only:
            asked_B = asked_B & _named(importance, config)
            if not asked_B.any():
                continue
        acts_BTK = torch.zeros_like(batch.valid_BTK)
        for frame_P, slot_P in zip(importance.frames_nP, importance.slots_nP, strict=True):
            acts_BTK[importance.clip_P[true_P], frame_P[true_P], slot_P[true_P]] = True
        acting_P = acts_BTK[importance.clip_P, importance.frames_nP, importance.slots_nP].any(dim=0)
        of_cliques = _of_cliques(importance, batch)
        clip_N, group_P = _groups(importance, batch)
        of_groups = _of_groups(importance, of_cliques, clip_N, group_P)
        true_N = torch.zeros_like(clip_N, dtype=torch.bool)
        true_N[group_P[true_P]] = True
        curves = _curves(importance, single=batch.labels.ndim == 1)
        for clip in asked_B.nonzero().flatten().tolist():
            of_clip_P = importance.clip_P == clip
            if true_P[of_clip_P].any():
                yield ClipFindings(
                    film=batch.ids[clip],
                    first={
                        "clique_is_true": _hits(of_cliques, of_clip_P, true_P),
                        "clique_has_one_that_acts": _hits(of_cliques, of_clip_P, acting_P),
                        "group_is_true": _hits(of_groups, clip_N == clip, true_N),
                        "object_acts": _hits(
                            _of_objects(importance, batch),
                            batch.valid_BTK & (clips_B11 == clip),
                            acts_BTK,
                        ),
                    },
                    deletion={name: each[0][:, clip].tolist() for name, each in curves.items()},
                    insertion={name: each[1][:, clip].tolist() for name, each in curves.items()},
                )


def _questions(labels: Tensor, config: RunConfig) -> Iterator[tuple[Tensor, Tensor]]:
    """Yield the (B,) classes to explain and the (B,) mask of clips; once per class for multi-label
    clips."""
    if labels.ndim == 1:
        yield labels, torch.ones_like(labels, dtype=torch.bool)
        return
    for activity in (labels > 0).any(dim=0).nonzero().flatten().tolist():
        yield torch.full_like(labels[:, 0], activity, dtype=torch.int64), labels[:, activity] > 0


def _named(importance: Importance, config: RunConfig) -> Tensor:
    """Return the (B,) mask of clips for which the network predicts the explained class."""
    logits_BA, class_B = importance.output.logits_BA, importance.class_B
    if config.dataset.task == "single-label":
        return logits_BA.argmax(dim=1) == class_B
    return logits_BA.gather(1, class_B[:, None])[:, 0] > 0


def _of_cliques(importance: Importance, batch: ClipBatch) -> dict[str, Tensor]:
    """Return the (P,) importance of cliques by measure."""
    places = importance.clip_P, importance.frames_nP, importance.slots_nP
    return {
        "logit_drop": importance.logit_drop_P,
        "activation": importance.activation_P,
        "score": _scores(batch)[places].prod(dim=0),
        "area": object_areas(batch)[places].sum(dim=0),
        "chance": torch.zeros_like(importance.logit_drop_P),
    }


def _groups(importance: Importance, batch: ClipBatch) -> tuple[Tensor, Tensor]:
    """Group the cliques of a clip by their two classes.

    Returns:
        The (N,) clip of each group, and the (P,) group of each clique.
    """
    places = importance.clip_P, importance.frames_nP, importance.slots_nP
    labels_nP = batch.detector_labels_BTK[places].sort(dim=0).values
    keys_P3 = torch.stack([importance.clip_P, *labels_nP], dim=1)
    keys_N3, group_P = keys_P3.unique(dim=0, return_inverse=True)
    return keys_N3[:, 0], group_P


def _of_groups(
    importance: Importance, of_cliques: dict[str, Tensor], clip_N: Tensor, group_P: Tensor
) -> dict[str, Tensor]:
    """Return the (N,) importance of groups by measure: activations are summed, scores and areas are
    the maximum over cliques."""
    activation_N = torch.zeros_like(clip_N, dtype=importance.activation_P.dtype)
    largest = {
        name: of_cliques[name]
        .new_zeros(len(clip_N))
        .scatter_reduce(0, group_P, of_cliques[name], "amax")
        for name in ("score", "area", "chance")
    }
    return {
        "logit_drop": importance.group_logit_drops(group_P, clip_N),
        "activation": activation_N.index_add(0, group_P, importance.activation_P),
        **largest,
    }


def _of_objects(importance: Importance, batch: ClipBatch) -> dict[str, Tensor]:
    """Return the (B, T, K) importance of objects by measure, with the sum of activations."""
    activation_BTK = torch.zeros_like(importance.object_logit_drop_BTK)
    for frame_P, slot_P in zip(importance.frames_nP, importance.slots_nP, strict=True):
        places = importance.clip_P, frame_P, slot_P
        activation_BTK.index_put_(places, importance.activation_P, accumulate=True)
    return {
        "logit_drop": importance.object_logit_drop_BTK,
        "activation": activation_BTK,
        "score": _scores(batch),
        "area": object_areas(batch),
        "chance": torch.zeros_like(importance.object_logit_drop_BTK),
    }


def _scores(batch: ClipBatch) -> Tensor:
    """Return the (B, T, K) maximum class score of each object."""
    return batch.class_scores_BTKS[..., :-1].amax(dim=3)


def object_areas(batch: ClipBatch) -> Tensor:
    """Return the (B, T, K) fraction of the crop under each mask; 0 for the background object."""
    background = batch.class_scores_BTKS.shape[-1] - 1
    areas_BTK = batch.masks_BTKhw.mean(dim=(3, 4))
    return areas_BTK.masked_fill(batch.detector_labels_BTK == background, 0)


def _hits(measures: dict[str, Tensor], considered: Tensor, true: Tensor) -> dict[str, float]:
    """Return, by measure, 1 if the most important pair is correct; for ties, a fraction."""
    hits = {}
    for name, values in measures.items():
        first = values[considered] == values[considered].max()
        hits[name] = float(true[considered][first].double().mean())
    return hits


def _curves(importance: Importance, *, single: bool) -> dict[str, tuple[Tensor, Tensor]]:
    """Return deletion and insertion curves by order of the cliques.

    A curve is an (S, B) array of the object head's probabilities without the first fraction of
    cliques, or with only these.
    """
    generator = torch.Generator().manual_seed(0)
    random_P = torch.rand(len(importance.clip_P), generator=generator).to(importance.logit_drop_P)
    orders = {
        "logit_drop": importance.logit_drop_P,
        "activation": importance.activation_P,
        "random": random_P,
    }
    place_B = torch.arange(len(importance.class_B), device=random_P.device)
    curves = {}
    for name, value_P in orders.items():
        rank_P = _ranks(value_P, importance.clip_P)
        part_P = torch.bucketize(rank_P, rank_P.new_tensor(SHARES), right=True) - 1
        without_SB, alone_SB = (
            (each.softmax(dim=2) if single else each.sigmoid())[:, place_B, importance.class_B]
            for each in importance.logits_by_parts(part_P, len(SHARES))
        )
        curves[name] = without_SB, alone_SB
    return curves


def _ranks(value_P: Tensor, clip_P: Tensor) -> Tensor:
    """Return the (P,) rank of each clique in its clip as a fraction: 0 for the largest value."""
    rank_P = torch.zeros_like(value_P)
    for clip in clip_P.unique():
        place_p = (clip_P == clip).nonzero().flatten()
        order_p = value_P[place_p].argsort(descending=True, stable=True)
        rank_P[place_p[order_p]] = torch.arange(len(place_p), device=value_P.device).to(
            value_P
        ) / len(place_p)
    return rank_P
