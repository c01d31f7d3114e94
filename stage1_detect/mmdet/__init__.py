"""The adapter to MMDetection: the only folder that imports mmdet, mmcv or mmengine.

`torchvision_ops.install()` must run before anything of mmdet is imported; the modules here do that themselves.
"""
