"""A run as a whole: steps in order, checks before, progress, notifications."""
