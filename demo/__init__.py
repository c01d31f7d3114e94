"""The demo: a world of short synthetic films with exact labels, and its detector.

May import all other packages; only the table of commands imports it.
"""

if __name__ != "orn.demo":
    raise ImportError("expected `import orn.demo`, got `import demo`")
