"""`orn eval-epic100` and `orn submit epic100`: call one function, print what came out."""

from orn.shared.common_options import AsJson
from orn.shared.echo import echo_report
from orn.shared.options import command
from orn.stage2_train.requests import Epic100Request, SubmitRequest
from orn.stage2_train.resources import wait_passively


@command("eval-epic100")
def eval_epic100(request: Epic100Request, *, as_json: AsJson = False) -> None:
    """Print the table of EPIC Kitchens 100's recognition challenge for VERB_RUN and NOUN_RUN.

    Top-1 and top-5 of verbs, nouns and actions: of all segments, of unseen participants, of tail
    classes. Both runs have to be measured by `orn eval`, which keeps what they predict.
    """
    from orn.stage2_train.evaluation import epic100

    echo_report(epic100.measure_epic100(request), epic100.as_report, as_json=as_json)


@command("epic100")
def submit_epic100(request: SubmitRequest, *, as_json: AsJson = False) -> None:
    """Write the file of EPIC Kitchens 100's recognition challenge, OUT, of VERB_RUN and NOUN_RUN.

    It has the scores of every narration id of the split, and the levels of supervision, which are
    printed with the reason for each. Where ids are missing or unexpected, nothing is written.
    """
    wait_passively()
    from orn.stage2_train.evaluation import epic100_file

    echo_report(epic100_file.submit_epic100(request), epic100_file.as_report, as_json=as_json)
