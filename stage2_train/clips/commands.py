"""The command `orn overlay`."""

from orn.shared.common_options import AsJson
from orn.shared.echo import echo, echo_json
from orn.shared.options import command
from orn.stage2_train.requests import OverlayRequest


@command("overlay")
def overlay(request: OverlayRequest, *, as_json: AsJson = False) -> None:
    """Draw masks on stored frames to verify their alignment.

    Each picture shows the uncropped frames of one segment as they appear in a batch, with
    timestamps. A class has the same color in all pictures.
    """
    from orn.stage2_train.clips.overlay import draw_overlays

    result = draw_overlays(request)
    if as_json:
        echo_json(result)
    else:
        for picture in result["pictures"]:
            echo(picture["path"])
