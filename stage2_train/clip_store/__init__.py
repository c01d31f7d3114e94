"""Frames of videos: the clip store (HDF5 files with rescaled frames and their feature maps), or
decoding without a store.

May import `model` (image networks), `settings`, `data_manifests` and `shared`.
"""
