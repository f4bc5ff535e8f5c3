"""Whether bundles are compressed."""

from __future__ import annotations

import pytest

from logferry.agent.packing import Packing
from logferry.limits import MIB, PACKED_AGAIN_BUNDLES

ALL = ("tar", "tar.gz", "tar.zst")


def forms(packing: Packing, speeds: dict[str, float], bundles: int, *, zstd: bool = True) -> list[str]:
    """The forms of so many bundles of 8 MiB where each form moves so many bytes of files per second."""
    made = []
    for _ in range(bundles):
        form = packing.form(ALL, lambda: zstd)
        packing.note(form.name, 8 * MIB, 8 * MIB / speeds[form.name])
        made.append(form.name)
    return made


def test_on_a_fast_link_nothing_is_ever_compressed() -> None:
    """However long it runs."""
    assert set(forms(Packing(), {"tar": 100 * MIB}, 1000)) == {"tar"}


def test_a_slow_link_is_noticed_with_the_first_bundle() -> None:
    """zstd where both sides have it, else gzip, stronger the slower."""
    assert forms(Packing(), {"tar": MIB, "tar.zst": 3.5 * MIB}, 4) == ["tar", "tar.zst", "tar.zst", "tar.zst"]
    packing = Packing()
    assert forms(packing, {"tar": MIB, "tar.gz": 3 * MIB}, 3, zstd=False) == ["tar", "tar.gz", "tar.gz"]
    assert packing.form(ALL, lambda: False).level == 6
    packing = Packing()
    forms(packing, {"tar": 8 * MIB, "tar.gz": 20 * MIB}, 3, zstd=False)
    assert packing.form(ALL, lambda: False).level == 1


def test_where_it_gains_nothing_compression_is_given_up_and_tried_seldom() -> None:
    """A server that is slow for another reason, or content that does not compress."""
    made = forms(Packing(), {"tar": 5 * MIB, "tar.zst": 5 * MIB}, 10 * PACKED_AGAIN_BUNDLES)
    assert made[0] == "tar"
    assert 5 <= made.count("tar.zst") <= 11


def test_a_link_that_gets_faster_is_noticed() -> None:
    """From time to time one bundle goes plain."""
    packing = Packing()
    forms(packing, {"tar": MIB, "tar.zst": 3 * MIB}, 10)
    made = forms(packing, {"tar": 100 * MIB, "tar.zst": 60 * MIB}, 3 * PACKED_AGAIN_BUNDLES)
    assert made[-1] == "tar"
    assert made.count("tar.zst") <= PACKED_AGAIN_BUNDLES


def test_small_bundles_say_nothing_about_the_link() -> None:
    """Their time is that of the round trips."""
    packing = Packing()
    for _ in range(100):
        packing.note("tar", 1000, 1.0)
    assert packing.form(ALL, lambda: True).name == "tar"


@pytest.mark.parametrize("offered", [("tar",), ()])
def test_only_what_the_server_unpacks_is_sent(offered: tuple[str, ...]) -> None:
    """However slow it is."""
    packing = Packing()
    for _ in range(5):
        form = packing.form(offered, lambda: True)
        assert form.name == "tar"
        packing.note(form.name, 8 * MIB, 60.0)
