"""The clip store, rescaled frames of every video in whole HDF5 files, and frames without one.

Imports no other room of stage 2 but `newest_data`.
"""
