"""Drawing of masks, boxes, names and times on frames, for pictures, videos and pages.

May import `jobs`, `masks` and `pages`.
"""
