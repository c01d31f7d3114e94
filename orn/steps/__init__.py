"""Both stages in one command, `orn run`: a list of commands from videos to a report.

The stages are run by their commands; their work is described here.
"""
