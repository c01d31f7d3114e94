"""Memory used to predict a long video, and time of an explanation."""

import time

import torch

from orn.benchmarks.measuring import Comparison, seconds_in_turns
from orn.benchmarks.memory import long_over_short, predict_video
from orn.benchmarks.model_inputs import random_batch
from orn.benchmarks.requests import PredictBenchRequest
from orn.stage2_train.explanation.importance import explain
from orn.stage2_train.model.network import ObjectVideoNetwork


def measure(request: PredictBenchRequest) -> Comparison:
    """Return the CPU time of an explained batch and of its forward pass alone, and the peak memory
    used for two videos."""
    sizes, threads, repeats = request.batch.sizes(), request.batch.threads, request.batch.repeats
    torch.manual_seed(0)
    network = ObjectVideoNetwork(sizes.config).eval()
    inputs = random_batch(sizes).inputs()
    explanation = explain(network, inputs)

    @torch.inference_mode()
    def run() -> None:
        network(inputs)

    whole, once = seconds_in_turns(
        lambda: explain(network, inputs),
        run,
        repeats=repeats,
        threads=threads,
        clock=time.process_time,
    )
    memory = long_over_short(predict_video, request.memory, tiny=request.batch.tiny)
    return Comparison(
        name="predict",
        ours=whole,
        reference=once,
        details={
            "share_of_a_pass": whole / once - 1,
            "pairs": len(explanation.clip_P),
            **sizes.as_json(),
            "memory": memory,
            "threads": threads,
            "repeats": repeats,
        },
    )
