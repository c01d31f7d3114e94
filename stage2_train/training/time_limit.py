"""The time that a queue gives a training, for all its processes."""

import time

import torch
from accelerate import Accelerator
from accelerate.utils import broadcast


class TimeLimit:
    """Whether the time is over, as the first process sees it when all of them look."""

    def __init__(self, accelerator: Accelerator, deadline: float | None) -> None:
        """Takes a moment of `time.monotonic`; None never comes."""
        self._accelerator = accelerator
        self._deadline = deadline
        self.is_over = False

    def look(self) -> None:
        """Called by all processes after a step, so that they stop after the same one."""
        if self._deadline is None:
            return
        late = torch.tensor(
            int(time.monotonic() >= self._deadline), device=self._accelerator.device
        )
        if self._accelerator.num_processes > 1:
            late = broadcast(late)
        self.is_over = bool(late)
