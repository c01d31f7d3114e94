"""What both stages stand on: the command line, errors, text, and a folder for each kind of data.

The files of this folder may import `config` and `jobs`; every folder may import these files.
"""

if __name__ != "orn.shared":
    raise ImportError("expected `import orn.shared`, got `import shared`")
