"""Networks of other papers that the tables compare with; they look at frames alone."""
