"""The job of `orn submit epic100`: the EPIC-KITCHENS-100 recognition submission from two runs.

It is a zip with test.json: {"version": "0.2", "challenge": "action_recognition", "sls_pt",
"sls_tl", "sls_td", "results": {narration_id: {"verb": {"0": score, ...}, "noun": {"0": score,
...}}}}, with 97 verb and 300 noun scores for every narration id in a split
(`make_action_recognition_submission` of epic-kitchens/C1-Action-Recognition). Scores are log
probabilities. They must not be logits: `compute_action_scores` in that repository applies one
softmax over all segments together, which would weight segments differently and could make all
action scores 0.

N segments, A classes.
"""

import json
import zipfile
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from orn.shared.errors import ConfigError
from orn.shared.jobs.atomic_file import replacing
from orn.shared.jobs.outputs import check_output_files
from orn.shared.manifests.load import locate_videos
from orn.shared.report import Report
from orn.shared.text import counted
from orn.stage2_train.clips.views import Views
from orn.stage2_train.devices import build_accelerator, loader_settings, main_progress
from orn.stage2_train.evaluation.epic100 import ChallengeRun, open_run
from orn.stage2_train.evaluation.predictions import (
    Predictions,
    check_finite,
    load_predictions,
    predict,
    save_predictions,
)
from orn.stage2_train.requests import SubmitRequest
from orn.stage2_train.runs.sources import open_sources
from orn.stage2_train.runs.trained import open_model, paths_of_run

_SIZES = {"verb": 97, "noun": 300}
_QUARTER = 0.25
_EPOCH = (1980, 1, 1, 0, 0, 0)
"""Modification time of test.json, fixed so that the output is deterministic."""
_LEVELS = {"pt": "pre-training", "tl": "training labels", "td": "training data"}


def submit_epic100(request: SubmitRequest) -> dict[str, Any]:
    """Write the submission atomically.

    Returns:
        `num_segments`, `sls` by dimension, `bytes` (null if nothing was written) and more.

    Raises:
        ConfigError: if the runs are not a verb run and a noun run, or if ids in the split are
            missing or unexpected; lists these ids.
        CheckpointError: if a run was not evaluated on a labelled split, or logits are not finite.
        DataRootError: if the table of the split is missing.
    """
    data_root = request.resources.data_root
    runs = {
        "verb": open_run(request.verb_run, "verb", split=request.split, data_root=data_root),
        "noun": open_run(request.noun_run, "noun", split=request.split, data_root=data_root),
    }
    wanted = [each.id for each in runs["verb"].segments(request.split)]
    check_output_files(
        [request.out], reads=(path for each in runs.values() for path in each.files())
    )
    sls = supervision([*runs.values()])
    for name, level in request.levels.items():
        reason = f"as requested; the level of the runs is {sls[name]['level']}"
        sls[name] = {"level": level, "reason": reason}
    to_compute = [kind for kind, each in runs.items() if _kept(each, request.split) is None]
    result = {
        "out": str(request.out),
        "split": request.split,
        "num_segments": len(wanted),
        "sls": sls,
        "bytes": None,
        "to_compute": to_compute,
    }
    if request.dry_run and to_compute:
        return result
    scores = {
        kind: _scores(_predictions(each, request), wanted, kind, each.run)
        for kind, each in runs.items()
    }
    if not request.dry_run:
        _write(request.out, wanted, scores, {name: each["level"] for name, each in sls.items()})
        result["bytes"] = request.out.stat().st_size
    return result


def supervision(runs: Sequence[ChallengeRun]) -> dict[str, dict[str, Any]]:
    """Return the `level` and `reason` of a submission by dimension: the higher level of its two
    runs.

    Supervision levels range from 0 to 5. PT: 0 for random weights, 1 for image data sets
    (ImageNet, COCO), 2 for video data sets. TL: 3 for start and end times, 4 if masks from a
    detector are added. TD: 2 for at most a random quarter of the training split, 3 for the training
    split, 4 if the validation split is added (README of epic-kitchens/SLS).
    """
    found = [_of_run(each) for each in runs]
    highest = {
        name: max((own[name] for own in found), key=lambda each: each[0]) for name in _LEVELS
    }
    return {name: {"level": level, "reason": why} for name, (level, why) in highest.items()}


def _of_run(run: ChallengeRun) -> dict[str, tuple[int, str]]:
    """Return the supervision level of a run in each dimension, with the reason."""
    config, recipe, name = run.config, run.config.recipe, run.run
    first, reads_masks = config.weights_digest, recipe.model.reads_detections
    if (origin := config.started_from) is not None:
        why = f"{name} was fine-tuned from {origin.run}, which was trained on videos"
        pre_training = 2, f"{why} ({origin.dataset})"
    elif first is not None:
        why = f"{name} was initialized from {first}"
        if first.startswith("sha256:"):
            why += ", assumed to be trained on a public image data set; otherwise pass --pt"
        pre_training = 1, why
    elif reads_masks:
        why = f"{name} uses objects from a detector ({config.detector.title})"
        pre_training = 1, f"{why}, which was trained on images such as COCO"
    else:
        pre_training = 0, f"{name} was initialized randomly"
    labels = (
        (4, f"{name} uses start and end times and masks from a detector")
        if reads_masks
        else (3, f"{name} uses start and end times and no masks")
    )
    number = config.dataset.num_train
    listed = sum(each.split == "train" for each in run.listing.segments)
    if recipe.data.train_with_validation:
        data = 4, f"{name} was trained on the training and validation splits"
    elif recipe.data.train_segments is not None and number <= _QUARTER * listed:
        why = f"{name} was trained on {number:,} of {counted(listed, 'training segment')}"
        data = 2, f"{why}, drawn at random"
    else:
        data = 3, f"{name} was trained on {counted(number, 'training segment')}"
    return {"pt": pre_training, "tl": labels, "td": data}


def _kept(run: ChallengeRun, split: str) -> Path | None:
    """Return the file with a run's logits on a split; None if they have to be computed.

    Only logits for the test split are computed here; `orn eval` computes them for labelled splits.
    """
    if split != "test":
        return run.run / f"predictions-{split}.npz"
    path = run.run / f"logits-{split}.npz"
    return path if path.is_file() else None


def _predictions(run: ChallengeRun, request: SubmitRequest) -> Predictions:
    path = _kept(run, request.split)
    if path is not None:
        return load_predictions(path)
    config, resources = run.config, request.resources
    torch.set_num_threads(resources.num_threads())
    accelerator = build_accelerator(config.recipe.precision, resources.device)
    dataset = locate_videos(run.manifest, run.listing, run.paths.data_root)
    unlabelled = [each for each in dataset.segments if each.split == request.split]
    # Clips need a label, although it is never read.
    labelled = tuple(replace(each, labels=(0,)) for each in unlabelled)
    paths = paths_of_run(run.run, config, resources)
    sources = open_sources(replace(dataset, segments=labelled), paths, partial=resources.partial)
    joined = sources.join(request.split, config.recipe)
    joined.require_segments(dataset.name)
    clips = sources.clip_dataset(joined, config.recipe)
    model = open_model(run.run, device="cpu")
    settings = loader_settings(
        accelerator,
        batch_size=config.recipe.optimiser.batch_size,
        workers=resources.workers,
    )
    with main_progress(accelerator, str(run.run), total=len(clips), unit="clips") as bar:
        found = predict(
            model.network.to(accelerator.device),
            clips,
            settings,
            heads=model.heads,
            views=Views(),
            accelerator=accelerator,
            advance=bar.advance,
        )
    check_finite(found.by_head(), found.ids, of=run.run)
    if accelerator.is_main_process:
        save_predictions(run.run / f"logits-{request.split}.npz", found)
    return found


def _scores(found: Predictions, wanted: Sequence[str], kind: str, run: Path) -> NDArray[np.float64]:
    """Return the (N, A) log-softmax of a run's logits, in the order of the split's segments."""
    num_classes = found.logits.shape[1]
    if num_classes != _SIZES[kind]:
        raise ConfigError(
            f"{run}: expected scores of {_SIZES[kind]} {kind}s, got {num_classes}; train a run on "
            "the published tables"
        )
    logits_NA = found.in_order_of(wanted, run=run, reference="the split").logits
    return torch.from_numpy(logits_NA).double().log_softmax(dim=1).numpy()


def _write(
    path: Path,
    ids: Sequence[str],
    scores: Mapping[str, NDArray[np.float64]],
    levels: Mapping[str, int],
) -> None:
    head: dict[str, Any] = {"version": "0.2", "challenge": "action_recognition"}
    head |= {f"sls_{name}": level for name, level in levels.items()}
    member = zipfile.ZipInfo("test.json", _EPOCH)
    member.compress_type = zipfile.ZIP_DEFLATED
    with (
        replacing(path) as temporary,
        zipfile.ZipFile(temporary, "w") as archive,
        archive.open(member, "w") as file,
    ):
        file.write(f'{json.dumps(head)[:-1]}, "results": {{'.encode())
        for part in _results(ids, scores):
            file.write(part.encode())
        file.write(b"}}\n")


def _results(ids: Sequence[str], scores: Mapping[str, NDArray[np.float64]]) -> Iterator[str]:
    """Yield the segments as JSON; twelve digits preserve the order of float32 logits."""
    kinds = []
    for kind, each in scores.items():
        classes = ", ".join(f'"{label}": %.12g' for label in range(each.shape[1]))
        kinds.append(f'"{kind}": {{{classes}}}')
    form, scores_NA = f"{{{', '.join(kinds)}}}", np.hstack([*scores.values()])
    for row, name in enumerate(ids):
        own = form % tuple(scores_NA[row].tolist())
        yield f"{', ' if row else ''}{json.dumps(name)}: {own}"


def as_report(result: Mapping[str, Any]) -> Report:
    """Return the result in printable form."""
    sls = result["sls"]
    if result["bytes"] is not None:
        done = f"{result['out']}: {result['bytes']:,} bytes"
    elif result["to_compute"]:
        done = f"to compute: the logits of the {' and the '.join(result['to_compute'])} run"
    else:
        done = f"{result['out']}: would be written; all logits are available"
    return Report(
        title=f"{result['split']}: {counted(result['num_segments'], 'segment')}, supervision "
        f"SLS-{'-'.join(str(sls[name]['level']) for name in _LEVELS)}",
        facts=[
            (f"{name.upper()} {sls[name]['level']} ({what})", sls[name]["reason"])
            for name, what in _LEVELS.items()
        ],
        notes=[done],
    )
