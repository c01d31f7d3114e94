"""Masks, boxes and detections, as stored in shards."""
