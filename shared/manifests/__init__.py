"""What data sets are and how they are loaded."""
