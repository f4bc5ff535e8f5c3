"""Numbers of rows in addresses: only what a database can have given is looked up there."""

from logferry.errors import Refused
from logferry.limits import ROW_ID_MAX


def checked_id(number: int, what: str = "file", where: str = "take fid from a list of files") -> int:
    """Return ``number`` if it can be that of a ``what``. Raises Refused, with the advice ``where``."""
    if not 0 < number <= ROW_ID_MAX:
        raise Refused(f"the number of a {what} is out of range", hint=where)
    return number
