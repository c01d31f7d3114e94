"""Run folders: settings, checkpoints, sources."""
