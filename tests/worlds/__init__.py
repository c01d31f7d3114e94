"""What tests are given: small videos, shards, data sets, clip stores, runs and the small demo."""
