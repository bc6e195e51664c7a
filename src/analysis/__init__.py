"""Reproducible analysis of poverty and slums in DKI Jakarta."""
