"""Logferry ferries log files from many machines into one archive that keeps every byte."""

__version__ = "0.1.0"
