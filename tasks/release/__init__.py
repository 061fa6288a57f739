"""Turns a run's validated parts into a release, and a release into what trainers read."""
