"""The demo world: short films of objects on a table whose activities are known exactly."""

if __name__ != "orn.demo":
    raise ImportError("expected `import orn.demo`, got `import demo`")
