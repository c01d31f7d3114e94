"""What gives labels away without what they are about: the leak report of any data set."""
