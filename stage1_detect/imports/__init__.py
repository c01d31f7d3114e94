"""Objects of other sources, turned into shards by the same kind of job as detection; imports the
detect job beside it and `shared`."""
