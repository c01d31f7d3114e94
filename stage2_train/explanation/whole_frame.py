"""The background object for people: it is called the whole frame, and has no box."""

from orn.stage2_train.clips.objects import BACKGROUND


def is_whole_frame(name: str) -> bool:
    """Return whether an object with this name is the background object."""
    return name == BACKGROUND


def title_of(name: str) -> str:
    """Return the name of an object in texts for people."""
    return "the whole frame" if is_whole_frame(name) else name
