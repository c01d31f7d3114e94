"""The command `orn eval-epic100`."""

from typing import Annotated

from orn.shared.common_options import AsJson, FilePath
from orn.shared.echo import echo_result
from orn.shared.options import Argument, Option, command


@command("eval-epic100")
def eval_epic100(
    verb_run: Annotated[FilePath, Argument("VERB_RUN")],
    noun_run: Annotated[FilePath, Argument("NOUN_RUN")],
    *,
    name: Annotated[
        str, Option("Evaluation to use: NAME in eval-NAME.json, such as a split.", name="--on")
    ] = "validation",
    data_root: Annotated[
        FilePath | None, Option("Data root.", name="--data", usual="the runs'")
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Print the EPIC-KITCHENS-100 recognition challenge metrics for VERB_RUN and NOUN_RUN.

    The metrics are top-1 and top-5 accuracy of verbs, nouns and actions on all segments, on unseen
    participants and on tail classes. Evaluate both runs with `orn eval` first.
    """
    from orn.stage2_train.compare import epic100

    result = epic100.measure_epic100(verb_run, noun_run, name=name, data_root=data_root)
    echo_result(result, epic100.as_summary, as_json=as_json)
