"""Backups as the settings name them: where they lie, what else belongs to them, and how one is brought back."""

from __future__ import annotations

import os
import stat
from collections.abc import Iterator
from contextlib import closing, contextmanager

from logferry.archive.backup import Backup, Repository, Restorer
from logferry.archive.backup.records import BACKUPS, SETTINGS
from logferry.archive.backup.repository import SEGMENTS
from logferry.archive.backup.restoring import Restoring, Tell
from logferry.archive.durable import Disk
from logferry.archive.store import LocalStore, Store
from logferry.errors import BadConfig, Refused
from logferry.limits import BACKUP_NOTE_BYTES_MAX
from logferry.server import runfiles
from logferry.server.config import ServerConfig
from logferry.server.first_run import lock_archive
from logferry.server.store import bucket_at, store_of


def backup_place(config: ServerConfig, given: str | None) -> str:
    """Where the backups are: ``given``, else what the settings say. Raises BadConfig."""
    place = given or config.backup.to
    if not place:
        raise BadConfig(
            "no place for backups is known", hint='name a folder or s3://bucket/prefix, or set to = "…" under [backup]'
        )
    return place


@contextmanager
def repository(
    config: ServerConfig, given: str | None, *, make: bool, disk: Disk | None = None
) -> Iterator[Repository]:
    """The backups at ``given`` (see ``backup_place``).

    Args:
        make: the folder is made when missing, for this user alone.

    Raises:
        BadConfig, Refused: there is no such place.
    """
    with closing(_store(config, backup_place(config, given), make=make, disk=disk)) as store:
        yield Repository(store)


def _store(config: ServerConfig, place: str, *, make: bool, disk: Disk | None) -> Store:
    if place.startswith("s3://"):
        return bucket_at(place, config.backup, "backup")
    root = os.path.abspath(place)
    inside = os.path.join(config.data_dir, "")
    if os.path.join(root, "").startswith(inside):
        raise Refused(f"{root} is in the archive's own folder", hint="a backup belongs on another disk")
    try:
        if make:
            os.makedirs(root, mode=0o700, exist_ok=True)
        elif not os.path.isdir(root):
            raise Refused(f"there is no folder {root}", hint="name the folder that was given to logferry backup make")
        for name in (BACKUPS, SEGMENTS) if make else ():
            _close(os.path.join(root, name.rstrip("/")))
        return LocalStore(root, disk, file_mode=0o600, folder_mode=0o700)
    except OSError as error:
        raise Refused(f"cannot write in {root}: {error.strerror}", hint="give this user the folder") from error


def _close(folder: str) -> None:
    """Keep others out of a folder of backups, which has keys in it; one of an older Logferry is open to them."""
    try:
        mode = os.stat(folder, follow_symlinks=False).st_mode
        if stat.S_ISDIR(mode) and mode & 0o077:
            os.chmod(folder, 0o700)
    except FileNotFoundError:
        return
    except PermissionError:
        return  # another user's, or a file system without modes: who may read it is decided there


def extras(config: ServerConfig, config_path: str, *, secrets: bool) -> dict[str, bytes]:
    """What belongs to a backup beside the archive's own: certificate and key (``secrets``), settings."""
    found: dict[str, bytes] = {}
    folder = os.path.join(config.data_dir, "tls")
    if secrets and os.path.isdir(folder):
        for name in sorted(os.listdir(folder)):
            found[f"tls/{name}"] = _read(os.path.join(folder, name))
    if config_path:
        found[SETTINGS] = _read(config_path)
    return found


def _read(path: str) -> bytes:
    try:
        with open(path, "rb") as file:
            return file.read(BACKUP_NOTE_BYTES_MAX)
    except OSError as error:
        raise Refused(f"cannot read {path}: {error.strerror}", hint="run it as the user of the server") from error


def restore(
    config: ServerConfig, backups: Repository, backup: Backup, *, disk: Disk | None = None, tell: Tell = lambda _: None
) -> Restoring:
    """Restore into the empty data folder that the settings name, and their store. See ``Restorer.restore``.

    Raises Refused, too, where the settings want the catalog elsewhere.
    """
    data_dir = config.data_dir
    if config.catalog.url != "sqlite":
        raise Refused(
            "a backup is restored with its own catalog, and catalog.url names another one",
            hint='restore with catalog.url = "sqlite"; `logferry repair` makes a catalog elsewhere from the segments',
        )
    try:
        os.makedirs(data_dir, mode=0o750, exist_ok=True)
        os.makedirs(os.path.join(data_dir, runfiles.RUN_FOLDER), mode=0o700, exist_ok=True)
    except OSError as error:
        raise runfiles.not_writable(data_dir, error) from error
    lock_fd = lock_archive(data_dir)
    try:
        with closing(store_of(config, "care") or LocalStore(os.path.join(data_dir, "store"), disk)) as store:
            restorer = Restorer(backups, backup, data_dir, store, disk=disk, tell=tell)
            restorer.restore()
            return restorer.done
    finally:
        os.close(lock_fd)
