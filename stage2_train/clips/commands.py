"""`orn overlay`: call the job, print what came out."""

from orn.shared.common_options import AsJson
from orn.shared.echo import echo, echo_json
from orn.shared.options import command
from orn.stage2_train.requests import OverlayRequest


@command("overlay")
def overlay(request: OverlayRequest, *, as_json: AsJson = False) -> None:
    """Draw masks on stored frames, to see with one's own eyes that they belong together.

    One picture a segment: its frames as a batch has them, not cropped, with their times. A class
    has the same colour in all of them.
    """
    from orn.stage2_train.clips.overlay import draw_overlays

    result = draw_overlays(request)
    if as_json:
        echo_json(result)
    else:
        for picture in result["pictures"]:
            echo(picture["path"])
