"""Masks, boxes and detections, as shards hold them."""
