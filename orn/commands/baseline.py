"""The command `orn baseline`."""

from typing import Any

import click

from orn.commands import options
from orn.commands.output import print_record
from orn.shared.jobs.progress import TERMINAL


@click.command("baseline")
@options.manifest
@options.data_root
@options.stores
@options.partial
@options.evaluated_split
@options.recipe
@options.overrides
@options.out("runs/DATASET-baseline")
@options.as_json
def baseline(*, as_json: bool, **typed: Any) -> None:
    """Evaluate what simple models make of the same objects and feature maps as a network: a random
    forest on statistics of the objects, logistic regression on the stored maps, and both averaged.

    They are fitted on the training split of DATASET; without DATASET, on that of the data set whose
    detection finished last. `orn compare RUN BASELINE` compares them with a network. Without stored
    maps, the forest is evaluated alone.
    """
    from orn.stage2_train.evaluation.baseline_job import BaselineConfig, evaluate_baseline
    from orn.stage2_train.settings.resources import DataAndDevice

    config = options.config_of(
        BaselineConfig, options.with_newest_data(typed), resources=DataAndDevice()
    )
    print_record(evaluate_baseline(config, TERMINAL), as_json=as_json)
