"""Networks from other papers in the paper's tables; they only read frames.

May import `settings` and `shared`.
"""
