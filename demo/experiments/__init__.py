"""Experiments on the demo worlds, and what only their ground truth can tell.

Imports the world, `stage2_train` and `shared`; nothing outside of `demo` imports it but the table
of commands.
"""
