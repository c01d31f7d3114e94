"""Objects of shards for other tools; imports the form of an object from `imports`, and `shared`."""
