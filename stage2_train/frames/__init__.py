"""The store of rescaled frames."""
