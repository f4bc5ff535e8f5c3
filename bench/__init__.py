"""Figures beside their peers, measured in one run: `make bench`, or `make bench ONLY=voyage`."""
