"""How much memory a computation allocates at its peak, exactly and repeatably."""

import json
import tempfile
from collections.abc import Callable
from pathlib import Path

from torch.profiler import ProfilerActivity, profile

__all__ = ["peak_allocated_bytes"]


def peak_allocated_bytes(compute: Callable[[], object]) -> int:
    """Most bytes that torch held at once on the CPU beyond what it held before.

    Every allocation and every release is read from the trace of torch's profiler. That counts what
    the computation asked for, gradients included; the size of the process would also depend on what
    was freed before and kept by the C library.
    """
    with profile(activities=[ProfilerActivity.CPU], profile_memory=True) as profiler:
        compute()
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "trace.json"
        profiler.export_chrome_trace(str(path))
        events = json.loads(path.read_text(encoding="utf-8"))["traceEvents"]
    changes = sorted(
        (event["ts"], event["args"]["Bytes"]) for event in events if event.get("name") == "[memory]"
    )
    held = peak = 0
    for _, change in changes:
        held += change
        peak = max(peak, held)
    return peak
