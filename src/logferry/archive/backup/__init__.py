"""Backups: whole, consistent copies of a running archive in another store, each costing what is new."""

from logferry.archive.backup.records import Backup
from logferry.archive.backup.repository import Repository
from logferry.archive.backup.restoring import Restorer
from logferry.archive.backup.taking import Taker, Taking

__all__ = ["Backup", "Repository", "Restorer", "Taker", "Taking"]
