"""Lab 1: returns, values, Bellman equations and bandits."""
