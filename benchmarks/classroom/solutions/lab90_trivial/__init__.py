"""Six trivial exercises: what grading them costs is what grading costs."""
