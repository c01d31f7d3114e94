"""The command `orn train`."""

from typing import Any

from orn.shared.common_options import AsJson, DryRun
from orn.shared.echo import echo_result
from orn.shared.options import command
from orn.shared.text_summary import Summary, summary_of
from orn.stage2_train.settings.resources import (
    NEWEST,
    TrainRequest,
    wait_passively,
    with_newest_data,
)


@command("train", imports=("orn.stage2_train.training.train",))
def train(request: TrainRequest, *, dry_run: DryRun = False, as_json: AsJson = False) -> None:
    """Train the network on the clips and shards of DATASET, or resume a training run; without
    DATASET, use the data set whose detection finished last.

    If there are shards but no clip store, `orn clips` creates the clip store first. Rerun the
    command to resume an interrupted training run; it does nothing once the run is finished.
    """
    wait_passively()
    from orn.stage2_train.training import train as training

    if request.manifest == NEWEST:
        manifest, resources = with_newest_data(request.resources)
        request = request.changed(manifest=manifest, resources=resources)
    result = training.describe_training(request) if dry_run else training.train(request)
    echo_result(result, _plan_text if dry_run else _as_summary, as_json=as_json)


def _plan_text(result: dict[str, Any]) -> str:
    """Return what a training run would do, with the recipe as TOML at the end."""
    facts = {name: value for name, value in result.items() if not name.startswith("num_")}
    toml = facts.pop("recipe")
    return f"{summary_of(facts | {'clips': _clips(result)}).text()}\n\n{toml}"


def _clips(result: dict[str, Any]) -> str:
    parts = (
        ("num_train", "training"),
        ("num_validation", "validation"),
        ("num_skipped", "skipped"),
    )
    return ", ".join(f"{result[name]:,} {part}" for name, part in parts)


def _as_summary(result: dict[str, Any]) -> Summary:
    """Return the state of a training run in printable form."""
    run, best = result["run"], result["best_metric"]
    phase = "" if result["phase"] is None else f", phase {result['phase'].replace('_', ' ')}"
    done = "finished" if result["finished"] else "stopped"
    return Summary(
        title=f"{run}: {done} at step {result['step']:,}{phase}",
        facts=[
            ("clips", _clips(result)),
            (
                f"best validation {result['metric']}",
                "-" if best is None else f"{best:.4f} at step {result['best_step']:,}",
            ),
        ],
        notes=[] if result["finished"] else ["Run the same command again to continue."],
    )
