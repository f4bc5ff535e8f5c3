"""Things to test with: logs that grow and rotate by seed, and a ledger of every byte they ever held."""

from logferry.testing.ledger import Ledger, Life
from logferry.testing.loggen import KINDS, LineSource
from logferry.testing.logtree import LogFile, LogTree, Rotation

__all__ = ["KINDS", "Ledger", "Life", "LineSource", "LogFile", "LogTree", "Rotation"]
