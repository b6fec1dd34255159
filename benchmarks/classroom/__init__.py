"""What the benchmarks of grading share: classes to grade, timed runs, a look at their processes."""
