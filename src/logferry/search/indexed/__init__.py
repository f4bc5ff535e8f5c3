"""Searching by the indexes of segments: which lines may match, told from a query, and reading those that may."""
