"""Configuration files: read, checked, written."""
