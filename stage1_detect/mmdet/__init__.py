"""The adapter to MMDetection: the only package that imports mmdet, mmcv or mmengine.

May import `shared`. `library.py` imports the names that the other files use, after it has replaced
mmcv's compiled module.
"""
