"""Names of backbones: the paper's ResNets, and the image networks of timm."""

import re
from typing import Annotated

from pydantic import AfterValidator

TIMM = "timm/"
"""Prefix of the names of timm's image networks."""
_BACKBONE = re.compile(rf"resnet18|resnet50|{TIMM}[\w.]+")


def _known(name: str) -> str:
    if _BACKBONE.fullmatch(name) is None:
        raise ValueError(f"expected resnet18, resnet50 or {TIMM}NAME, got {name!r:.80}")
    return name


Backbone = Annotated[str, AfterValidator(_known)]
