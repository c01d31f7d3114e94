"""What gives labels away without what they are about: the leak report of any data set.

`orn leaks` is in demo/experiments/commands.py: of worlds of the demo it adds what only their
ground truth tells, and nothing here may import the demo.
"""
