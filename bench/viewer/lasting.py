"""What the viewer's page holds after long scrolling: its heap, its nodes, the memory of its process."""

from __future__ import annotations

import random
import time
from dataclasses import dataclass
from pathlib import Path

from bench.viewer.page import WATCH, Server, elsewhere
from bench.viewer.pipe import PlainPage, plain_page

_COLON, _ENTER = 186, 13
_READY = "new Promise((done) => { const look = () => (window.ready ? done(true) : setTimeout(look, 20)); look(); })"
_FRAME = "new Promise((done) => requestAnimationFrame(() => done(true)))"
_CHANGED = "new Promise((done) => { const look = () => (window.changed ? done(true) : setTimeout(look, 5)); look(); })"
_DIALOG = (
    "new Promise((done) => { const look = () => (document.activeElement.closest('dialog[open]') ? done(true) : "
    "setTimeout(look, 5)); look(); })"
)


@dataclass(frozen=True, slots=True)
class Held:
    """What a page holds, garbage collected: bytes of its script's heap, nodes, and the memory of its process."""

    heap: float
    nodes: int
    listeners: int
    process: float


@dataclass(frozen=True, slots=True)
class Lasted:
    """``steps`` were made between the two."""

    before: Held
    after: Held
    steps: int


def scrolled(there: Server, address: str, seconds: float, dice: random.Random) -> Lasted:
    """Wheel down and up, drag, jump to places for so long."""
    with plain_page() as page:
        page.open(there.base + address, WATCH, there.cookie)
        page.evaluate(_READY)
        before = _held(page)
        steps = _scroll(page, seconds, dice)
        return Lasted(before, _held(page), steps)


def _scroll(page: PlainPage, seconds: float, dice: random.Random) -> int:
    end, steps, at = time.monotonic() + seconds, 0, 0.5
    _jump(page, "50%")
    while time.monotonic() < end:
        _over(page, "log-view .scroller", 0.5)
        for _ in range(dice.randrange(5, 40)):
            page.wheel(dice.choice((400, 900, 2500, -400, -1500)))
            page.evaluate(_FRAME)
            steps += 1
        at = elsewhere(dice, at)
        if dice.random() < 0.5:
            _jump(page, f"{100 * at:.2f}%")
        else:
            _over(page, "log-view .track", at)
            page.evaluate("window.changed = 0")
            page.press()
            page.evaluate(_CHANGED)
        steps += 1
    return steps


def _jump(page: PlainPage, place: str) -> None:
    page.key(":", ":", _COLON)
    page.evaluate(_DIALOG)
    page.write(place)
    page.evaluate("window.changed = 0")
    page.key("Enter", "\r", _ENTER)
    page.evaluate(_CHANGED)


def _over(page: PlainPage, selector: str, fraction: float) -> None:
    """The mouse to a part of the height of an element."""
    x, y = page.evaluate(
        f"(() => {{ const box = document.querySelector({selector!r}).getBoundingClientRect(); "
        f"return [box.x + box.width / 2, box.y + 2 + {fraction} * (box.height - 4)]; }})()"
    )
    page.move(x, y)


def _held(page: PlainPage) -> Held:
    """What the page holds now."""
    counted = page.collect()
    return Held(
        counted["JSHeapUsedSize"],
        int(counted["Nodes"]),
        int(counted["JSEventListeners"]),
        max((_unshared(pid) for pid in page.renderers()), default=0.0),
    )


def _unshared(pid: int) -> float:
    """Bytes of memory that a process alone holds."""
    try:
        text = Path(f"/proc/{pid}/smaps_rollup").read_text()
    except OSError:  # not Linux, or gone
        return 0.0
    return sum(float(line.split()[1]) * 1024 for line in text.splitlines() if line.startswith("Private_"))
