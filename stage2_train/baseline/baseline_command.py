"""The command `orn baseline`."""

from orn.shared.common_options import AsJson
from orn.shared.echo import echo_result
from orn.shared.options import command
from orn.stage2_train.baseline.baseline_request import BaselineRequest
from orn.stage2_train.settings.resources import NEWEST, with_newest_data


@command("baseline", imports=("orn.stage2_train.baseline.baseline_job",))
def baseline(request: BaselineRequest, *, as_json: AsJson = False) -> None:
    """Evaluate what simple models make of the same objects and feature maps as a network: a random
    forest on statistics of the objects, logistic regression on the stored maps, and both averaged.

    They are fitted on the training split of DATASET; without DATASET, on that of the data set whose
    detection finished last. `orn compare RUN BASELINE` compares them with a network. Without stored
    maps, the forest is evaluated alone.
    """
    from orn.stage2_train.baseline.baseline_job import evaluate_baseline
    from orn.stage2_train.runs.eval_file import as_summary

    if request.manifest == NEWEST:
        manifest, resources = with_newest_data(request.resources)
        paths = {name: getattr(resources, name) for name in ("data_root", "shards", "clips")}
        request = request.changed(manifest=manifest, **paths)
    file = evaluate_baseline(request)
    echo_result(file.as_json(), lambda _: as_summary(file), as_json=as_json)
