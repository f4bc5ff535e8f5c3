"""Taking out: many files as one zip or tar, lines as rows of a table. Streams in, streams out, memory stays small.

Knows neither the archive nor the web: whoever calls hands in members with readers, and passes on the bytes.
"""

from logferry.takeout.lines import Source, rows_of
from logferry.takeout.member import Member, Opened, member_name
from logferry.takeout.ndjson import from_ndjson, to_ndjson
from logferry.takeout.packing import FORMS, MEDIA_TYPES, Form, form_by_output, packed
from logferry.takeout.rows import Fault, LineRow
from logferry.takeout.times import time_of

__all__ = [
    "FORMS",
    "MEDIA_TYPES",
    "Fault",
    "Form",
    "LineRow",
    "Member",
    "Opened",
    "Source",
    "form_by_output",
    "from_ndjson",
    "member_name",
    "packed",
    "rows_of",
    "time_of",
    "to_ndjson",
]
