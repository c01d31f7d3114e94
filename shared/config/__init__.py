"""Reading, validating and writing configuration files."""
