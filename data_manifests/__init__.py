"""What the data sets are: manifests, and how to get each.

Imports no other folder.
"""

if __name__ != "orn.data_manifests":
    raise ImportError("expected `import orn.data_manifests`, got `import data_manifests`")
