"""Lab 3: planning, learned models and tree search."""
