"""All stages in one command, `orn run`: a list of commands from videos to a report.

Stage 1 is run by its commands and never imported. May import `shared` and `stage2_train`.
"""

if __name__ != "orn.all_stages":
    raise ImportError("expected `import orn.all_stages`, got `import all_stages`")
