"""The command `orn ablate`."""

from orn.shared.common_options import AsJson, DryRun
from orn.shared.echo import echo_report, echo_settings
from orn.shared.options import command
from orn.stage2_train.ablation.request import AblationRequest


@command("ablate")
def ablate(request: AblationRequest, *, dry_run: DryRun = False, as_json: AsJson = False) -> None:
    """Train and evaluate every system in a table of the paper on DATASET, and compare them.

    All systems use the same recipe and number of steps. Rerun the command to resume an interrupted
    ablation. The report is printed and saved as OUT/table-TABLE-SPLIT.json, .md, .png (a plot) and
    .csv (one row per value). With --vary, the files are named OUT/table-TABLE-KEY-SPLIT, with
    --variant OUT/table-TABLE-variant-SPLIT.
    """
    from orn.stage2_train.ablation import ablate as ablation
    from orn.stage2_train.ablation.report import as_report

    if dry_run:
        echo_settings(ablation.describe_ablation(request), as_json=as_json)
        return
    echo_report(ablation.ablate(request), as_report, as_json=as_json)
