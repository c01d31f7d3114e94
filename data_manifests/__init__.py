"""What the data sets are: manifests, and the generated demo world."""
