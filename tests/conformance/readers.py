"""Every reader of files from others; who adds one adds it to one of these lists."""

from tests.conformance.shared_readers import SHARED
from tests.conformance.training_readers import TRAINING

READERS = (*SHARED, *TRAINING)
