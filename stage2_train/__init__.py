"""Stage 2: train and evaluate the two-headed network on clips and shards."""

from stage2_train.interface import load_model, open_dataset, predictions

__all__ = ["load_model", "open_dataset", "predictions"]
