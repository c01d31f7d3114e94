"""Networks of other papers in the paper's tables; they read frames only."""
