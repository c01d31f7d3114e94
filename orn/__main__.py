"""`python -m orn`, the same as the command `orn`."""

from orn.shared.cli import main

if __name__ == "__main__":
    main()
