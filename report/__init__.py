"""The page of a run, `orn report`: what it got right, what it confused, and why.

May import `shared` and `stage2_train`.
"""

if __name__ != "orn.report":
    raise ImportError("expected `import orn.report`, got `import report`")
