"""From segments to batches: frames of the clip store, joined by time with detections."""
