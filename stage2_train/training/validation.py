"""What a network in training reaches on the validation split, for all processes."""

import torch
from accelerate import Accelerator
from accelerate.utils import gather_object
from torch import nn

from stage2_train.clips.batches import LoaderSettings
from stage2_train.clips.dataset import ClipDataset
from stage2_train.clips.views import Views
from stage2_train.evaluation.metrics import Scores, score_heads
from stage2_train.evaluation.predictions import gathered, predict
from stage2_train.model.config import Heads


def validation_scores(
    network: nn.Module,
    clips: ClipDataset,
    loader: LoaderSettings,
    *,
    heads: Heads,
    views: Views,
    accelerator: Accelerator,
) -> dict[str, Scores]:
    """The scores of each head that is trained, by its name; the network is left in evaluation mode.

    Args:
        network: not wrapped; all processes go on with the statistics of the first one.
        clips: of the split.
        loader: how batches are made.
        heads: what is trained.
        views: of each segment.
        accelerator: of this process.
    """
    if accelerator.num_processes > 1:
        for buffer in network.buffers():  # each process keeps statistics of its own
            torch.distributed.broadcast(buffer, src=0)
    part = predict(network, clips, loader, heads=heads, views=views, accelerator=accelerator)
    return score_heads(gathered(gather_object([part])), clips)
