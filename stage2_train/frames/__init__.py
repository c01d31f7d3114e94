"""The clip store: rescaled frames of every video in one HDF5 file, for random access."""
