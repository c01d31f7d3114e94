"""Whether both sides of a benchmark computed the same."""

from torch import Tensor

from shared.errors import PipelineError

__all__ = ["relative_difference", "require_agreement"]


def relative_difference(ours: Tensor | None, reference: Tensor | None) -> float:
    """Norm of the difference over the norm of the reference."""
    assert ours is not None
    assert reference is not None
    difference = (ours.double() - reference.double()).norm()
    return float(difference / reference.double().norm().clamp(min=1e-30))


def require_agreement(difference: float, limit: float) -> float:
    """The difference.

    Raises:
        PipelineError: if it is larger than the limit; then times mean nothing.
    """
    if not difference <= limit:
        raise PipelineError(
            f"both sides differ by {difference:.2g} of what they compute, wanted at most "
            f"{limit:g}; their times are not comparable"
        )
    return difference
