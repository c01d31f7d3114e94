"""The pipeline of `orn run` from videos to a report: a list of commands, and their estimated time.

Stage 1 is run by its commands and never imported.
"""
