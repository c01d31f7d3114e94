"""Decode frames with their times, from video files and folders of JPEGs.

Imports no other folder.
"""
