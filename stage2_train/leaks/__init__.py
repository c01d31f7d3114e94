"""What simple shortcuts predict of labels: the leak report of any data set.

Imports `ablation`, which trains the networks of a report, and `evaluation`. The command `orn leaks`
is in demo/experiments/commands.py: of worlds of the demo it adds what only their ground truth
tells, and nothing here may import the demo.
"""
