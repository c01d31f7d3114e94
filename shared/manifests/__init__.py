"""Manifests: definitions of data sets, readers for their label tables, splits and folds.

May import `config`, `jobs` and `video`.
"""
