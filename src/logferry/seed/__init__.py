"""The older log archive system whose place Logferry takes: what its files say, and what becomes of each thing in them.

Everything but ``reading`` is pure: bytes and values in, decisions out.
"""
