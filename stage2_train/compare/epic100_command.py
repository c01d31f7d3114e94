"""The command `orn eval-epic100`."""

from orn.shared.common_options import AsJson
from orn.shared.echo import echo_report
from orn.shared.options import command
from orn.stage2_train.compare.epic100_request import Epic100Request


@command("eval-epic100")
def eval_epic100(request: Epic100Request, *, as_json: AsJson = False) -> None:
    """Print the EPIC-KITCHENS-100 recognition challenge metrics for VERB_RUN and NOUN_RUN.

    The metrics are top-1 and top-5 accuracy of verbs, nouns and actions on all segments, on unseen
    participants and on tail classes. Evaluate both runs with `orn eval` first.
    """
    from orn.stage2_train.compare import epic100

    echo_report(epic100.measure_epic100(request), epic100.as_report, as_json=as_json)
