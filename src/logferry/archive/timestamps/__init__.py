"""When each line of a log was written: timestamps recognised in bytes. Pure: bytes in, numbers out."""
