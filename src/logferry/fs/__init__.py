"""Archived files for programs that know fsspec: ``logferry://host/agent/path``, read-only, over the REST API.

pandas, DuckDB, Dask, pyarrow and whatever else opens fsspec addresses read them like local files. The package that has
this installed (``logferry[analytics]``) registers it: nothing needs to be imported.
"""

from logferry.fs.filesystem import LogferryFileSystem

__all__ = ["LogferryFileSystem"]
