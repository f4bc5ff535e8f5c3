"""The viewer on a large file, live and sealed, in a real browser: first screen, jumps, memory after long scrolling.

*opened from list*: from a click in the list of files, as a file is opened. *first screen*: its address in a profile
that has nothing of Logferry yet. Times are those of the clock; beside them the processor time of server and page
together, which a busy machine leaves as it is.

The file is made below ``build/bench`` or, to be used again, in the folder that ``BENCH_VIEWER`` names.
"""

from __future__ import annotations

import os
import random
import statistics
from pathlib import Path
from typing import Any

from bench.figures import Figure, Options

BYTES, QUICK_BYTES = 6_000_000_000, 50_000_000
SCROLL_S, QUICK_SCROLL_S = 600.0, 20.0
ROUNDS = 7
JUMPS = 40
FIRST_MS, JUMP_MS, MEMORY_MB = 300.0, 200.0, 150.0


def measure(folder: Path, options: Options) -> tuple[list[Figure], dict[str, Any]]:
    """Measure. Returns the figures and every single result."""
    from tests.browser.harness import chromium

    from bench.viewer import content, lasting, page

    place = Path(os.environ.get("BENCH_VIEWER", "") or folder)
    place.mkdir(parents=True, exist_ok=True)
    content.prepare(place, QUICK_BYTES if options.quick else BYTES)
    seconds = float(os.environ.get("BENCH_VIEWER_SCROLL_S", "0")) or (QUICK_SCROLL_S if options.quick else SCROLL_S)
    rounds = options.rounds or (3 if options.quick else ROUNDS)
    raw: dict[str, Any] = {"bytes": QUICK_BYTES if options.quick else BYTES, "scroll_s": seconds}
    figures: list[Figure] = []
    with chromium() as browser, page.server(place) as there, page.one_line() as one_line:
        for name, path in (("live", content.LIVE), ("sealed", content.SEALED)):
            address = f"/view/{content.AGENT}/{path}"
            dice = random.Random(f"viewer/{name}")
            listing, _, file = address.replace("/view/", "/browse/", 1).rpartition("/")
            first, ready, first_cpu, floor, opened = [], [], [], [], []
            for _ in range(rounds + 1):
                with page.visitor(browser, there) as visited:
                    floor.append(page.first_screen(visited, one_line)[0])
                with page.visitor(browser, there) as visited:
                    spent = there.cpu_ms()
                    painted, taken = page.first_screen(visited, address)
                    first.append(painted)
                    ready.append(taken)
                    first_cpu.append(there.cpu_ms() - spent + page.page_cpu_ms(visited))
                with page.visitor(browser, there) as visited:
                    opened.append(page.from_list(visited, listing, file)[0])
            with page.visitor(browser, there) as visited:
                page.first_screen(visited, address)
                spent = there.cpu_ms() + page.page_cpu_ms(visited)
                jumps = [page.jump(visited, f"{dice.randrange(2, 98)}.{dice.randrange(100)}%") for _ in range(JUMPS)]
                page.jump(visited, "50%")
                places = [0.5]
                for _ in range(JUMPS):
                    places.append(page.elsewhere(dice, places[-1]))
                presses = [page.press_track(visited, at) for at in places[1:]]
                jump_cpu = (there.cpu_ms() + page.page_cpu_ms(visited) - spent) / (2 * JUMPS + 1)
            lasted = lasting.scrolled(there, address, seconds, dice)
            before, after = lasted.before, lasted.after
            found = {
                "opened_ms": opened,
                "first_ms": first,
                "ready_ms": ready,
                "floor_ms": floor,
                "first_cpu_ms": first_cpu,
                "jump_ms": jumps,
                "press_ms": presses,
                "jump_cpu_ms": jump_cpu,
                "steps": lasted.steps,
                "before": [before.heap, before.nodes, before.listeners, before.process],
                "after": [after.heap, after.nodes, after.listeners, after.process],
            }
            raw[name] = found
            print(f"  {name}: {_told(found)}", flush=True)
            figures += [
                _least(f"{name}-opened-from-list", _later(opened), "ms", FIRST_MS),
                _least(f"{name}-first-screen-cold", first[0], "ms", FIRST_MS),
                _least(f"{name}-first-screen", _later(first), "ms", FIRST_MS, _later(floor)),
                _least(f"{name}-first-screen-cpu", _later(first_cpu), "ms", FIRST_MS),
                _least(f"{name}-jump", statistics.median([*jumps, *presses]), "ms", JUMP_MS),
                _least(f"{name}-jump-p95", _p95([*jumps, *presses]), "ms", JUMP_MS),
                _least(f"{name}-jump-cpu", jump_cpu, "ms", JUMP_MS),
                _least(f"{name}-heap", after.heap / 1e6, "MB", MEMORY_MB),
                _least(f"{name}-process", after.process / 1e6, "MB", MEMORY_MB),
            ]
    return figures, raw


def _least(name: str, value: float, unit: str, target: float, floor: float = 0.0) -> Figure:
    peers = {"chromium-with-one-line": floor} if floor else {}
    return Figure(f"viewer-{name}", value, unit, target, peers, less_is_better=True)


def _told(found: dict[str, Any]) -> str:
    """One line of raw results."""
    first, jumps, presses = found["first_ms"], found["jump_ms"], found["press_ms"]
    heap, nodes, listeners, process = found["after"]
    return (
        f"opened from the list of files {_later(found['opened_ms']):.0f} ms; nothing cached: "
        f"first screen {first[0]:.0f} ms cold, {_later(first):.0f} median "
        f"({_later(found['floor_ms']):.0f} a page of one line), ready after "
        f"{_later(found['ready_ms']):.0f}; {_later(found['first_cpu_ms']):.0f} of "
        f"processors; jump {found['jump_cpu_ms']:.0f} of them; "
        f"go to {statistics.median(jumps):.0f} median, {_p95(jumps):.0f} p95; "
        f"scrollbar {statistics.median(presses):.0f} median, {_p95(presses):.0f} p95; after {found['steps']} steps: "
        f"heap {heap / 1e6:.1f} MB, {nodes} nodes, {listeners} listeners, process {process / 1e6:.0f} MB "
        f"({found['before'][3] / 1e6:.0f} before)"
    )


def _later(values: list[float]) -> float:
    """The median of all but the first, which is cold."""
    return statistics.median(values[1:])


def _p95(values: list[float]) -> float:
    return sorted(values)[int(0.95 * (len(values) - 1))]
