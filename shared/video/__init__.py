"""Decode frames with their times, from video files and folders of JPEGs.

May import `config`.
"""
