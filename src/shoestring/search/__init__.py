"""From candidates to a ladder: pure functions over costs, scores and budgets."""
