"""Masks, boxes and detections, as stored in shards.

Imports no other folder.
"""
