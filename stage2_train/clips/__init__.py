"""The clip store: decoded, rescaled frames of every video in one HDF5 file, for random access."""
