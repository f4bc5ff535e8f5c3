"""Plain connections send large slices without copying them through the agent, over several connections at once."""

from __future__ import annotations

import os
import threading

import pytest

from tests.agent.conftest import Node


@pytest.mark.skipif(not hasattr(os, "sendfile"), reason="this system has no sendfile")
def test_large_slices_go_by_sendfile_over_several_connections(
    plain_node: Node, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Every byte of them, and from more than one thread."""
    sent: dict[int, int] = {}
    whole = os.sendfile

    def counting(out: int, source: int, offset: int, count: int) -> int:
        done = whole(out, source, offset, count)
        name = threading.get_ident()
        sent[name] = sent.get(name, 0) + done
        return done

    monkeypatch.setattr(os, "sendfile", counting)
    for number in range(6):
        plain_node.write(f"{number}.bin", os.urandom(9_000_000))
    assert plain_node.once().complete
    assert plain_node.current() == {f"{number}.bin": plain_node.read(f"{number}.bin") for number in range(6)}
    assert sum(sent.values()) == 6 * 9_000_000
    assert len(sent) > 1
