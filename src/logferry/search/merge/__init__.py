"""Lines of several files in the order of their times, read around what is shown: files may be of any size."""

from logferry.search.merge.order import Item, Merged, after, before
from logferry.search.merge.series import series_of, stem_of
from logferry.search.merge.source import END, START, Line, Part, Place, Source
from logferry.search.merge.steering import at_fraction, at_time, fraction_of

__all__ = [
    "END",
    "START",
    "Item",
    "Line",
    "Merged",
    "Part",
    "Place",
    "Source",
    "after",
    "at_fraction",
    "at_time",
    "before",
    "fraction_of",
    "series_of",
    "stem_of",
]
