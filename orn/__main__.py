"""Run the command `orn` as `python -m orn`."""

from orn.cli import main

if __name__ == "__main__":
    main()
