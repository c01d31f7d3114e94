"""The demo: a world of short synthetic films with exact labels, its detector, and `orn demo`.

May import `world`, `detector`, `all_stages` and `shared`.
"""

if __name__ != "orn.demo":
    raise ImportError("expected `import orn.demo`, got `import demo`")
