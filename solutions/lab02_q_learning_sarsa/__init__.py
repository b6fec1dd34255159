"""Lab 2: Q-learning and SARSA on the cliff."""
