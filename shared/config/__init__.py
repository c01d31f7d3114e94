"""Reading, validating and writing configuration files; bounded reads of untrusted files.

Imports no other folder.
"""
