"""What a training is told: recipes and their sections, systems, and the resources it may use.

May import `data_manifests` and `shared`.
"""
