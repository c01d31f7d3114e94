"""Average the logits of two runs, such as an activity head and an object head trained separately.

    orn ablate demo --systems activity-head,object-head --seeds 1
    cd runs/ablate-demo
    python examples/late_fusion.py activity-head/seed0 object-head/seed0

Prints the score of each run and of the average on a split that `orn eval` has evaluated.
"""

import argparse
from dataclasses import replace
from pathlib import Path

from orn.stage2_train.evaluation.metrics import scores_of
from orn.stage2_train.runs.saved_predictions import predictions_of


def late_fusion(run: Path, other: Path, split: str) -> dict[str, float]:
    """Return top-1 accuracy, or mean average precision for multiple labels, in 0..1."""
    ours, theirs = predictions_of(run, split), predictions_of(other, split)
    theirs = theirs.in_order_of(ours.ids, run=other, reference=str(run))
    fused = replace(
        ours,
        activity_logits=ours.logits,
        object_logits=theirs.logits,
        combination="mean",
    )
    predictions = {str(run): ours, str(other): theirs, "late fusion": fused}
    return {
        name: next(iter(scores_of(own.labels, own.logits, own.unsure).values()))
        for name, own in predictions.items()
    }


def main() -> None:
    """Parse the options and print the scores."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("run", type=Path)
    parser.add_argument("other", type=Path)
    parser.add_argument("--split", default="validation")
    options = parser.parse_args()
    for name, score in late_fusion(options.run, options.other, options.split).items():
        print(f"{100 * score:5.1f} %  {name}")


if __name__ == "__main__":
    main()
