"""Reading, validating and writing configuration files.

Imports no other folder.
"""
