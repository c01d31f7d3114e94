"""The adapter to MMDetection: the only folder that imports mmdet, mmcv or mmengine.

`library.py` imports what the others use of them, after the stand-in for mmcv's compiled module.
"""
