"""Does the measured importance of pairs point at the pair that really acts?

On the demo worlds the truth is known (`acting_pairs`).

P cliques of objects, B clips, S shares of cliques.
"""

import json
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from demo.experiments.acting_pairs import WORLDS, object_areas, true_cliques
from shared.errors import ConfigError
from shared.jobs.atomic_file import replacing, write_text
from shared.jobs.progress import progress
from shared.text_table import columns
from stage2_train.clips.batches import ClipBatch, LoaderSettings, evaluation_loader
from stage2_train.devices import build_accelerator
from stage2_train.evaluation.statistics import mean_interval
from stage2_train.insight.importance import Importance, explain
from stage2_train.model.build import build_network
from stage2_train.resources import Resources
from stage2_train.runs.run_config import RunConfig, load_run_config
from stage2_train.runs.trained import load_trained, sources_of_run

MEASURES = ("fall", "activation", "score", "area", "chance")
"""Of a clique: the fall of the logit without it, activation of h, scores of the detector, area of
the masks, and chance."""
SHARES = tuple(step / 10 for step in range(11))
"""Of a clip's cliques, that are taken out or put in."""
_BATCH_SIZE = 16


@dataclass(frozen=True, slots=True, kw_only=True)
class _Clip:
    """What was found on one explained clip."""

    hits: dict[str, float]
    """Whether the first clique of each measure is true; among equals, the share of true ones."""
    object_hits: dict[str, float]
    """The same of objects: whether the first is one of the pair that acts."""
    deletion: dict[str, list[float]]
    """Probability of the class without the first share of the cliques, by order."""
    insertion: dict[str, list[float]]
    """The same with these alone."""


def measure_importance(
    run: Path, *, split: str, resources: Resources, right_only: bool = True
) -> dict[str, Any]:
    """Explains the clips of a split; see the module.

    Args:
        run: on one of the worlds.
        split: name of the split.
        resources: data, and what computes.
        right_only: leave out clips that the trained network classifies wrongly.

    Returns:
        What is also written to RUN/importance-SPLIT.json.

    Raises:
        ConfigError: if the run is not one of these worlds, or its network relates no pairs.
    """
    config = load_run_config(run)
    if config.dataset.name not in WORLDS:
        raise ConfigError(
            f"{run}: wanted a run on {', '.join(WORLDS)}, where the pair that acts is known, "
            f"found one on {config.dataset.name}"
        )
    if config.recipe.model.clique_size != 2:
        raise ConfigError(
            f"{run}: wanted a network that relates pairs, found model.clique_size "
            f"{config.recipe.model.clique_size}"
        )
    torch.set_num_threads(resources.num_threads())
    sources = sources_of_run(run, config, resources)
    joined = sources.join(split, frame_join=config.recipe.data.frame_join)
    joined.require_segments(config.dataset.name)
    clips = sources.clip_dataset(joined, config.recipe)
    device = build_accelerator("fp32", resources.device).device
    trained = load_trained(run, config).network.to(device)
    torch.manual_seed(0)
    untrained = build_network(config.recipe.model).eval().to(device)
    names = sources.detections.detector.class_names
    loader = LoaderSettings(batch_size=_BATCH_SIZE, workers=resources.workers)
    found: dict[str, list[_Clip]] = {"trained": [], "random weights": []}
    with progress("importance", total=len(clips), unit="clips") as bar:
        for batch in evaluation_loader(clips, loader):
            on_device = batch.to(device)
            found["trained"] += _explained(trained, on_device, config, names, right_only=right_only)
            found["random weights"] += _explained(
                untrained, on_device, config, names, right_only=False
            )
            bar.advance(len(batch))
    if not found["trained"]:
        raise ConfigError(
            f"{run}: wanted rightly classified clips of split {split} whose acting pair was "
            "detected, found none; train for longer"
        )
    report = {
        "run": str(run),
        "dataset": config.dataset.name,
        "split": split,
        "num_clips": len(clips),
        **{name.replace(" ", "_"): _summary(each) for name, each in found.items()},
    }
    text = json.dumps(report, indent=2, allow_nan=False) + "\n"
    write_text(run / f"importance-{split}.json", text)
    _draw_curves(report, run / f"importance-{split}.png")
    return report


def _explained(
    network: nn.Module,
    batch: ClipBatch,
    config: RunConfig,
    names: tuple[str, ...],
    *,
    right_only: bool,
) -> Iterator[_Clip]:
    """Clips of a batch whose true pair is among their cliques, once for each label.

    Args:
        right_only: leave out labels that the network does not name.
    """
    clips_B11 = torch.arange(len(batch), device=batch.valid_BTK.device)[:, None, None]
    for class_B, asked_B in _questions(batch.labels, config):
        importance = explain(network, batch.inputs(), class_B=class_B)
        true_P = true_cliques(config.dataset.name, config.dataset.classes, names, batch, importance)
        if right_only:
            asked_B = asked_B & _named(importance, config)
        acts_BTK = torch.zeros_like(batch.valid_BTK)
        for frame_P, slot_P in zip(importance.frames_nP, importance.slots_nP, strict=True):
            acts_BTK[importance.clip_P[true_P], frame_P[true_P], slot_P[true_P]] = True
        curves = _curves(importance, single=batch.labels.ndim == 1)
        for clip in asked_B.nonzero().flatten().tolist():
            of_clip_P = importance.clip_P == clip
            if true_P[of_clip_P].any():
                yield _Clip(
                    hits=_hits(_of_cliques(importance, batch), of_clip_P, true_P),
                    object_hits=_hits(
                        _of_objects(importance, batch),
                        batch.valid_BTK & (clips_B11 == clip),
                        acts_BTK,
                    ),
                    deletion={name: each[0][:, clip].tolist() for name, each in curves.items()},
                    insertion={name: each[1][:, clip].tolist() for name, each in curves.items()},
                )


def _questions(labels: Tensor, config: RunConfig) -> Iterator[tuple[Tensor, Tensor]]:
    """(B,) int64 classes to explain, and (B,) bool for which clips; once for each class where there
    are several labels a clip."""
    if labels.ndim == 1:
        yield labels, torch.ones_like(labels, dtype=torch.bool)
        return
    for activity in range(len(config.dataset.classes)):
        yield torch.full_like(labels[:, 0], activity, dtype=torch.int64), labels[:, activity] > 0


def _named(importance: Importance, config: RunConfig) -> Tensor:
    """(B,) bool, whether the network says the class that is explained."""
    logits_BA, class_B = importance.output.logits_BA, importance.class_B
    if config.dataset.task == "single-label":
        return logits_BA.argmax(dim=1) == class_B
    return logits_BA.gather(1, class_B[:, None])[:, 0] > 0


def _of_cliques(importance: Importance, batch: ClipBatch) -> dict[str, Tensor]:
    """(P,) by measure, large for what is important."""
    places = importance.clip_P, importance.frames_nP, importance.slots_nP
    return {
        "fall": importance.fall_P,
        "activation": importance.activation_P,
        "score": _scores(batch)[places].prod(dim=0),
        "area": object_areas(batch)[places].sum(dim=0),
        "chance": torch.zeros_like(importance.fall_P),
    }


def _of_objects(importance: Importance, batch: ClipBatch) -> dict[str, Tensor]:
    """(B, T, K) by measure; an object has the activation of all its cliques."""
    activation_BTK = torch.zeros_like(importance.object_fall_BTK)
    for frame_P, slot_P in zip(importance.frames_nP, importance.slots_nP, strict=True):
        places = importance.clip_P, frame_P, slot_P
        activation_BTK.index_put_(places, importance.activation_P, accumulate=True)
    return {
        "fall": importance.object_fall_BTK,
        "activation": activation_BTK,
        "score": _scores(batch),
        "area": object_areas(batch),
        "chance": torch.zeros_like(importance.object_fall_BTK),
    }


def _scores(batch: ClipBatch) -> Tensor:
    """(B, T, K) the detector's score for any of its classes."""
    return batch.class_scores_BTKS[..., :-1].amax(dim=3)


def _hits(measures: dict[str, Tensor], considered: Tensor, true: Tensor) -> dict[str, float]:
    """Whether what each measure puts first is true; of several that are equal, the share."""
    hits = {}
    for name, values in measures.items():
        first = values[considered] == values[considered].max()
        hits[name] = float(true[considered][first].double().mean())
    return hits


def _curves(importance: Importance, *, single: bool) -> dict[str, tuple[Tensor, Tensor]]:
    """(S, B) probabilities of the class, of the object head alone: without the first share of
    cliques, and with these alone; ordered by importance, and at random."""
    generator = torch.Generator().manual_seed(0)
    random_P = torch.rand(len(importance.clip_P), generator=generator).to(importance.fall_P)
    orders = {"fall": importance.fall_P, "activation": importance.activation_P, "random": random_P}
    curves = {}
    for name, value_P in orders.items():
        rank_P = _ranks(value_P, importance.clip_P)
        without: list[Tensor] = []
        alone: list[Tensor] = []
        for share in SHARES:
            for kept_P, probabilities in ((rank_P >= share, without), (rank_P < share, alone)):
                logits_BA = importance.logits_with(kept_P)
                probability_BA = logits_BA.softmax(dim=1) if single else logits_BA.sigmoid()
                place_B = torch.arange(len(logits_BA), device=logits_BA.device)
                probabilities.append(probability_BA[place_B, importance.class_B])
        curves[name] = torch.stack(without), torch.stack(alone)
    return curves


def _ranks(value_P: Tensor, clip_P: Tensor) -> Tensor:
    """(P,) the place of each clique among those of its clip, as a share: 0 for the largest."""
    rank_P = torch.zeros_like(value_P)
    for clip in clip_P.unique():
        place_p = (clip_P == clip).nonzero().flatten()
        order_p = value_P[place_p].argsort(descending=True, stable=True)
        rank_P[place_p[order_p]] = torch.arange(len(place_p), device=value_P.device).to(
            value_P
        ) / len(place_p)
    return rank_P


def _summary(clips: list[_Clip]) -> dict[str, Any]:
    """Means over clips with half the width of their 95 % interval."""
    summary: dict[str, Any] = {"num_explained": len(clips)}
    if not clips:
        return summary
    for key, hits in (
        ("first_clique_is_true", [clip.hits for clip in clips]),
        ("first_object_acts", [clip.object_hits for clip in clips]),
    ):
        summary[key] = {
            name: _mean_of(np.array([each[name] for each in hits])[:, None])[0] for name in MEASURES
        }
    for curve in ("deletion", "insertion"):
        summary[curve] = {
            name: _mean_of(np.array([getattr(clip, curve)[name] for clip in clips]))
            for name in getattr(clips[0], curve)
        }
    return summary


def _mean_of(values_BS: NDArray[np.float64]) -> list[dict[str, float]]:
    intervals = [mean_interval(values_B) for values_B in values_BS.T.tolist()]
    return [{"mean": each.mean, "half": each.half_width or 0.0} for each in intervals]


def _draw_curves(report: dict[str, Any], path: Path) -> None:
    """Deletion and insertion of the trained network, with 95 % bands over clips."""
    from matplotlib.figure import Figure

    figure = Figure(figsize=(8, 3.4), layout="constrained")
    panels = figure.subplots(1, 2, sharey=True)
    for axes, curve in zip(panels, ("deletion", "insertion"), strict=True):
        for name, points in report["trained"][curve].items():
            mean_S, half_S = (np.array([each[key] for each in points]) for key in ("mean", "half"))
            (line,) = axes.plot(SHARES, mean_S, label=_ORDERS[name])
            axes.fill_between(
                SHARES, mean_S - half_S, mean_S + half_S, color=line.get_color(), alpha=0.2
            )
        axes.set_title({"deletion": "pairs taken out", "insertion": "pairs put in"}[curve])
        axes.set_xlabel("share of the clip's pairs")
    panels[0].set_ylabel("probability of the class (object head)")
    panels[1].legend(frameon=False)
    with replacing(path) as temporary:
        figure.savefig(temporary, format="png", dpi=110)


def importance_text(report: dict[str, Any]) -> str:
    """The report for people."""
    networks = ("trained", "random_weights")
    rows: list[tuple[str, ...]] = [("", "trained", "random weights")]
    for key, what in (
        ("first_clique_is_true", "first pair is the one that acts"),
        ("first_object_acts", "first object is one of it"),
    ):
        rows.append((f"{what}, %", "", ""))
        for name in MEASURES:
            found = [report[network].get(key, {}).get(name) for network in networks]
            rows.append((f"  {_NAMES[name]}", *(_percent(each) for each in found)))
    rows.append(("clips", *(str(report[network]["num_explained"]) for network in networks)))
    lines = [f"{report['dataset']}, {report['split']}: {report['num_clips']} clips", columns(rows)]
    for curve, what in (("deletion", "without the first"), ("insertion", "with only the first")):
        fifth = {
            name: f"{values[2]['mean']:.3f}" for name, values in report["trained"][curve].items()
        }
        lines.append(
            f"probability of the class {what} 20 % of the cliques: by fall {fifth['fall']}, by "
            f"activation {fifth['activation']}, at random {fifth['random']}"
        )
    return "\n".join(lines)


def _percent(found: dict[str, float] | None) -> str:
    return "-" if found is None else f"{100 * found['mean']:.1f} +- {100 * found['half']:.1f}"


_ORDERS = {
    "fall": "largest fall first",
    "activation": "largest activation first",
    "random": "random order",
}
_NAMES = {
    "fall": "by the fall of the logit without it",
    "activation": "by the activation of h",
    "score": "by the detector's scores",
    "area": "by the area of the masks",
    "chance": "chance",
}
