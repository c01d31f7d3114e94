"""The adapter to MMDetection: the only package that imports mmdet, mmcv or mmengine.

`model.py` imports the names used by the other files, after replacing mmcv's compiled module.
May import `shared`.
"""
