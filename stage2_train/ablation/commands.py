"""`orn ablate`: parse, call the job, print what came out."""

from orn.shared.common_options import AsJson, DryRun
from orn.shared.echo import echo_report, echo_settings
from orn.shared.options import command
from orn.stage2_train.ablation.request import AblationRequest


@command("ablate")
def ablate(request: AblationRequest, *, dry_run: DryRun = False, as_json: AsJson = False) -> None:
    """Train and measure every system of a table of the paper on DATASET, and compare them.

    All have the same recipe and the same number of steps. Interrupted, it goes on where it was. The
    report is printed and kept as OUT/table-TABLE-SPLIT.json and .md, drawn as .png, and a line a
    figure as .csv; with --vary its name is OUT/table-TABLE-KEY-SPLIT, with --variant
    OUT/table-TABLE-variant-SPLIT.
    """
    from orn.stage2_train.ablation import ablate as ablation
    from orn.stage2_train.ablation.report import as_report

    if dry_run:
        echo_settings(ablation.describe_ablation(request), as_json=as_json)
        return
    echo_report(ablation.ablate(request), as_report, as_json=as_json)
