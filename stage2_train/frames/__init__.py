"""Frames of videos: the clip store, HDF5 files of rescaled frames, or decoding without a store.

Imports no other package of stage 2.
"""
