"""The command `orn ablate`."""

from orn.shared.common_options import AsJson, DryRun
from orn.shared.echo import echo_result
from orn.shared.options import command
from orn.shared.text_summary import summary_of
from orn.stage2_train.compare.ablation_plan import AblationRequest


@command("ablate")
def ablate(request: AblationRequest, *, dry_run: DryRun = False, as_json: AsJson = False) -> None:
    """Train and evaluate systems of the paper on DATASET with several seeds, and compare them.

    All systems use the same recipe; --set and --vary change its settings. Rerun the command to
    resume it. Several commands may share --out: the report covers all finished runs there, so that
    each system can have settings of its own. It is printed and saved as OUT/ablation-SPLIT.json and
    .md. Of a manifest with folds, every run is trained on each and evaluated on all.
    """
    from orn.stage2_train.compare import ablate as ablation
    from orn.stage2_train.compare.ablation_summary import as_summary

    if dry_run:
        echo_result(ablation.describe_ablation(request), summary_of, as_json=as_json)
        return
    echo_result(ablation.ablate(request), as_summary, as_json=as_json)
