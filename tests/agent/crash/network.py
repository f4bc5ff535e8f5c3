"""A network between agent and server that breaks at one chosen place, and is whole again afterwards.

Control and data connections both go through it. Three ways to break: ``reset`` (RST to both sides), ``end`` (FIN to
both sides) and ``stall`` (not a packet gets through any more, and nobody is told).
"""

from __future__ import annotations

import contextlib
import re
import socket
import struct
import threading
from dataclasses import dataclass, field

_RESET = struct.pack("ii", 1, 0)
_EXTENDED = re.compile(rb"^229 .*\(\|\|\|(\d+)\|\)")
_PASSIVE = re.compile(rb"^227 .*\((\d+,\d+,\d+,\d+),(\d+),(\d+)\)")
_BLOCK = 4096


@dataclass(frozen=True, slots=True)
class Cut:
    """Where and how it breaks, once.

    ``where``: ``command`` (it never arrives), ``reply`` (the server has done its work; nobody hears of it), ``data``
    (after ``count`` bytes), ``end`` (all bytes are through, the end of them is not).
    """

    where: str
    how: str
    verb: str = "STOR"
    nth: int = 1
    count: int = 0


@dataclass(slots=True)
class _Pair:
    agent: socket.socket
    server: socket.socket
    commands: list[bytes] = field(default_factory=list)
    broken: str = ""

    def close(self) -> None:
        for sock in (self.agent, self.server):
            with contextlib.suppress(OSError):
                if self.broken == "reset":
                    sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _RESET)
                sock.shutdown(socket.SHUT_RDWR)
            sock.close()


class Network:
    """Passes everything on until ``cut`` is set and its place is reached."""

    def __init__(self, target: tuple[str, int]) -> None:
        self.target = target
        self.cut: Cut | None = None
        self.cuts = 0
        self._seen = 0
        self._lock = threading.Lock()
        self._over = threading.Event()
        self._pairs: list[_Pair] = []
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.address: tuple[str, int] = self._listener.getsockname()[:2]
        self._start(self._accept)

    def arm(self, cut: Cut | None) -> None:
        """Break there the next time it comes to it."""
        with self._lock:
            self.cut, self.cuts, self._seen = cut, 0, 0

    def close(self) -> None:
        """End it, with everything that was stalled."""
        self._over.set()
        with contextlib.suppress(OSError):
            self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()
        for pair in self._pairs:
            pair.close()

    def forget(self) -> None:
        """Close what is left of connections of earlier cases."""
        with self._lock:
            pairs, self._pairs = self._pairs, []
        for pair in pairs:
            pair.close()

    @staticmethod
    def _start(work: object, *arguments: object) -> None:
        threading.Thread(target=work, args=arguments, daemon=True).start()  # type: ignore[arg-type]

    def _accept(self) -> None:
        while not self._over.is_set():
            try:
                agent, _ = self._listener.accept()
            except OSError:
                return
            try:
                server = socket.create_connection(self.target)
            except OSError:
                agent.close()
                continue
            pair = self._paired(agent, server)
            self._start(self._upwards, pair)
            self._start(self._downwards, pair)

    def _paired(self, agent: socket.socket, server: socket.socket) -> _Pair:
        for sock in (agent, server):
            sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        pair = _Pair(agent, server)
        with self._lock:
            self._pairs.append(pair)
        return pair

    # Breaking -------------------------------------------------------------------------------------------------------

    def _due(self, where: str, verb: bytes = b"STOR", count: int = 0) -> bool:
        """Whether it is to break here and now; counts the places passed."""
        with self._lock:
            cut = self.cut
            if cut is None or self.cuts or cut.where != where or verb != cut.verb.encode():
                return False
            if where == "data":
                return count >= cut.count
            self._seen += 1
            return self._seen == cut.nth

    def _break(self, only: _Pair | None = None) -> None:
        """``only``: the data connection alone; else everything there is."""
        with self._lock:
            assert self.cut is not None
            self.cuts += 1
            how = self.cut.how
            pairs = [only] if only is not None else self._pairs
            if how != "stall":
                self._pairs = [pair for pair in self._pairs if pair not in pairs]
        for pair in pairs:
            pair.broken = how
            if how != "stall":
                pair.close()

    # Control ---------------------------------------------------------------------------------------------------------

    def _upwards(self, pair: _Pair) -> None:
        try:
            with pair.agent.makefile("rb") as lines:
                for line in lines:
                    verb = line.split()[0].upper() if line.split() else b""
                    if not pair.broken and self._due("command", verb):
                        self._break()
                    if pair.broken:
                        break
                    pair.commands.append(verb)
                    pair.server.sendall(line)
        except (OSError, ValueError):
            pass
        self._side_over(pair)

    def _downwards(self, pair: _Pair) -> None:
        greeted = False
        try:
            with pair.server.makefile("rb") as lines:
                for line in lines:
                    final = line[:3].isdigit() and line[3:4] == b" " and not line.startswith(b"1")
                    verb = pair.commands.pop(0) if final and greeted and pair.commands else b""
                    greeted = greeted or final
                    if not pair.broken and verb and self._due("reply", verb):
                        self._break()
                    if pair.broken:
                        break
                    pair.agent.sendall(self._led_through(line))
        except (OSError, ValueError):
            pass
        self._side_over(pair)

    def _side_over(self, pair: _Pair) -> None:
        if pair.broken != "stall":
            pair.close()

    def _led_through(self, line: bytes) -> bytes:
        """A reply to EPSV or PASV names a port of ours that leads to the server's."""
        if found := _EXTENDED.match(line):
            return b"229 Entering Extended Passive Mode (|||%d|)\r\n" % self._data_port(int(found[1]))
        if found := _PASSIVE.match(line):
            port = self._data_port(int(found[2]) * 256 + int(found[3]))
            return b"227 Entering Passive Mode (%s,%d,%d)\r\n" % (found[1], port >> 8, port & 255)
        return line

    # Data ------------------------------------------------------------------------------------------------------------

    def _data_port(self, port: int) -> int:
        listener = socket.create_server(("127.0.0.1", 0))
        self._start(self._carry, listener, port)
        made: int = listener.getsockname()[1]
        return made

    def _carry(self, listener: socket.socket, port: int) -> None:
        """One data connection; an upload can be broken in the middle of it."""
        listener.settimeout(60)
        try:
            agent, _ = listener.accept()
            server = socket.create_connection((self.target[0], port))
        except OSError:
            return
        finally:
            listener.close()
        pair = self._paired(agent, server)
        back = threading.Thread(target=self._carry_back, args=(pair,), daemon=True)
        back.start()
        count = 0
        try:
            while data := agent.recv(_BLOCK):
                if pair.broken:
                    return
                server.sendall(data)
                count += len(data)
                if self._due("data", count=count):
                    self._break(pair)
                    return
            if not pair.broken and self._due("end"):
                self._break(pair)
            if not pair.broken:
                server.shutdown(socket.SHUT_WR)
                back.join()
        except OSError:
            pass
        finally:
            self._side_over(pair)

    @staticmethod
    def _carry_back(pair: _Pair) -> None:
        try:
            while (data := pair.server.recv(_BLOCK)) and not pair.broken:
                pair.agent.sendall(data)
            if not pair.broken:
                pair.agent.shutdown(socket.SHUT_WR)
        except OSError:
            return  # the other direction notices too
