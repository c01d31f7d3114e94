"""Write the submission to the EPIC-KITCHENS-100 recognition challenge from two evaluated runs.

    python examples/epic100_submission.py runs/verbs runs/nouns out.zip --sls 1 4 3

`--sls` gives the supervision levels of both runs: pre-training, training labels, training data
(github.com/epic-kitchens/SLS). The zip contains test.json, with 97 verb scores and 300 noun scores
of every segment. Scores are log probabilities: the organizers' code applies one softmax to the
scores of all segments together, which would weight segments by the size of their logits.

N segments, A classes.
"""

import argparse
import json
import zipfile
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

SIZES = {"verb": 97, "noun": 300}
LEVELS = ("sls_pt", "sls_tl", "sls_td")


def log_probabilities(run: Path, name: str, kind: str) -> dict[str, NDArray[np.float64]]:
    """Return the (A,) scores of each segment by its narration id, from `orn eval`."""
    with np.load(run / f"predictions-{name}.npz") as arrays:
        ids, logits_NA = arrays["ids"].tolist(), arrays["logits"].astype(np.float64)
    if logits_NA.shape[1] != SIZES[kind]:
        raise SystemExit(f"{run}: expected {SIZES[kind]} {kind}s, got {logits_NA.shape[1]}")
    logits_NA -= logits_NA.max(axis=1, keepdims=True)
    scores_NA = logits_NA - np.log(np.exp(logits_NA).sum(axis=1, keepdims=True))
    return dict(zip(ids, scores_NA, strict=True))


def main(
    verbs: Path, nouns: Path, out: Path, sls: list[int], names: Sequence[str] = ("validation",) * 2
) -> None:
    """Write the file; `names` are the evaluations of both runs, as in predictions-NAME.npz."""
    scores = {
        kind: log_probabilities(run, name, kind)
        for kind, run, name in zip(SIZES, (verbs, nouns), names, strict=True)
    }
    if different := sorted(set(scores["verb"]) ^ set(scores["noun"])):
        raise SystemExit(f"{nouns}: expected the segments of {verbs}, got {different[:5]} in one")
    results = {
        segment: {
            kind: {str(place): score for place, score in enumerate(scores_NA[segment].tolist())}
            for kind, scores_NA in scores.items()
        }
        for segment in scores["verb"]
    }
    document = {"version": "0.2", "challenge": "action_recognition"}
    document |= dict(zip(LEVELS, sls, strict=True)) | {"results": results}
    with zipfile.ZipFile(out, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("test.json", json.dumps(document))
    print(f"{out}: {len(results)} segments")


if __name__ == "__main__":
    parser = argparse.ArgumentParser()
    for name in ("verbs", "nouns", "out"):
        parser.add_argument(name, type=Path)
    parser.add_argument("--sls", type=int, nargs=3, choices=range(6), required=True)
    parser.add_argument("--names", nargs=2, default=["validation"] * 2)
    main(**vars(parser.parse_args()))
