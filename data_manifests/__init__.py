"""What the data sets are: a manifest (TOML) of each, and what reads manifests and label tables.

Imports `shared` alone. README.md says how to get each data set.
"""

if __name__ != "orn.data_manifests":
    raise ImportError("expected `import orn.data_manifests`, got `import data_manifests`")
