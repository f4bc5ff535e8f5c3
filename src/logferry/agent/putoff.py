"""Files that wait outside while the agent has enough to do: counted per folder, so that memory stays small. Pure."""

from __future__ import annotations


class PutOff:
    """Folders with files that were seen but not taken up, with how many they are and their unsent bytes."""

    def __init__(self) -> None:
        self._folders: dict[bytes, tuple[int, int]] = {}
        self.files = 0
        self.bytes = 0

    def __len__(self) -> int:
        """How many folders."""
        return len(self._folders)

    def add(self, folder: bytes, files: int, size: int) -> None:
        """``files`` more of ``folder`` with ``size`` unsent bytes together at most."""
        before = self._folders.get(folder, (0, 0))
        self._folders[folder] = (before[0] + files, before[1] + size)
        self.files += files
        self.bytes += size

    def next_folder(self) -> bytes | None:
        """The folder that waits longest, which waits no more."""
        folder = next(iter(self._folders), None)
        if folder is not None:
            files, size = self._folders.pop(folder)
            self.files -= files
            self.bytes -= size
        return folder

    def clear(self) -> None:
        """A look at everything counts anew."""
        self._folders.clear()
        self.files = self.bytes = 0
