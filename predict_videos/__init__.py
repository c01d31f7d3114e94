"""`orn predict`: both stages on videos that no data set lists."""
