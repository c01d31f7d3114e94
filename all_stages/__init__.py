"""All stages in one command, `orn run`: a list of commands from videos to a report.

The stages are run by their commands; their work is described here. May import `shared`,
`stage1_detect` and `stage2_train`.
"""

if __name__ != "orn.all_stages":
    raise ImportError("expected `import orn.all_stages`, got `import all_stages`")
