"""``logferry verify``: whether every archived byte is what it was."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from logferry import settings
from logferry.cli import failures, text
from logferry.cli.premises import as_plain, config_option, premises
from logferry.errors import Refused
from logferry.limits import MIB

if TYPE_CHECKING:
    from logferry.archive.verify import Flaw

_TELL_BYTES = 64 * MIB


@click.command()
@config_option
@click.option("--all", "whole", is_flag=True, help="Read every byte. That is the default.")
@click.option("--quick", is_flag=True, help="Only look whether everything is there and as long as it should be.")
@click.option("--sample", metavar="N%", help="Read only a random share of all segments and files, for example 5%.")
@click.option("--time", "limit", metavar="DURATION", help="Stop after so long; what waited longest comes first.")
@click.option("--json", "as_json", is_flag=True, help="One JSON object for each finding, then one with the sums.")
def verify(file: str | None, whole: bool, quick: bool, sample: str | None, limit: str | None, as_json: bool) -> int:
    """Read the archive and compare it with its checksums and its catalog. Exit code 4: something is damaged.

    Works beside a running server. Damage is named by place, frame, agent and path; nothing is changed.
    """
    if whole + quick + (sample is not None) > 1:
        raise Refused("--all, --quick and --sample exclude each other", hint="give one of them")
    share = _share(sample) if sample is not None else 1.0
    seconds = settings.duration_s(limit) if limit else None
    damaged = others = 0
    bar = text.Progress()
    with premises(file) as place:
        until_s = None if seconds is None else place.catalog.clock.monotonic_s() + seconds
        read = 0

        def tell(count: int) -> None:
            nonlocal read
            if read // _TELL_BYTES != (read + count) // _TELL_BYTES:
                bar.show(f"{text.size(read + count)} read")
            read += count

        verifier = place.archive.verifier(until_s=until_s, pace=tell)
        for flaw in verifier.verify(deep=not quick, share=share):
            damaged += flaw.is_damage
            others += not flaw.is_damage
            bar.clear()
            text.out_json(as_plain(flaw)) if as_json else text.out(_line(flaw))
        bar.clear()
        done = verifier.done
    if as_json:
        text.out_json(as_plain(done) | {"damaged": damaged, "others": others})
    else:
        part = ", then the time was over" if done.ran_out else ""
        segments, files = text.counted(done.segments, "segment"), text.counted(done.generations, "file")
        text.note(
            f"{segments} and {files} looked at, {text.size(done.bytes)} of segments read{part}: "
            + (f"{damaged:,} damaged" if damaged else "nothing damaged")
            + (f", {others:,} other findings" if others else "")
        )
    return failures.PARTIAL if damaged else failures.OK


def _line(flaw: Flaw) -> str:
    frame = "" if flaw.frame is None else f" frame {flaw.frame}"
    names = ", ".join(f"{flaw.agent}:/{path}" for path in flaw.paths)
    more = f" and {flaw.more_paths:,} more" if flaw.more_paths else ""
    word = "damaged" if flaw.is_damage else "note"
    return text.line(f"{word}  {flaw.kind}  {flaw.place}{frame}: {flaw.what}" + (f"  [{names}{more}]" if names else ""))


def _share(sample: str) -> float:
    try:
        percent = float(sample.strip().removesuffix("%"))
    except ValueError:
        percent = -1.0
    if not 0 < percent <= 100:
        raise Refused(f"--sample {sample!r} is no share", hint="for example 5%")
    return percent / 100
