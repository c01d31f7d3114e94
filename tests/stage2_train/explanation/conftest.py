"""The tiny networks and batches of the model's tests."""

from tests.stage2_train.model.conftest import (  # noqa: F401
    make_batch,
    make_network,
    tiny_config,
)
