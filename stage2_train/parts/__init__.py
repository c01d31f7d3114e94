"""The parts of a model beside its network: a random forest, and the temperatures of probabilities.

May import `clip_store`, `clips`, `intervals`, `model`, `settings`, `data_manifests` and
`shared`.
"""

FOREST_NAME = "forest.safetensors"
TEMPERATURES_NAME = "temperatures.json"
