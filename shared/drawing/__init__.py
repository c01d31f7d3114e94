"""Masks, boxes, names and times over frames: for pictures, films and pages alike."""
