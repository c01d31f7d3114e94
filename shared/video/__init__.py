"""Frames of a video with their times, from a file or a folder of JPEGs."""
