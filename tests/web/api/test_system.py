"""What programs are told of the archive as a whole."""

from __future__ import annotations

import math
import re

from logferry.archive.catalog.facts import BACKED_UP
from tests.web.served import Served


def measured(site: Served, name: str) -> float:
    """A sample of ``/metrics``."""
    found = re.search(rf"^{name} (\S+)$", site.client.get("/metrics").text, re.MULTILINE)
    assert found is not None
    return float(found[1])


def test_an_archive_without_a_backup_has_one_of_infinite_age(site: Served) -> None:
    """So an alarm for old backups rings for none, too."""
    assert measured(site, "logferry_backup_age_seconds") == math.inf
    site.context.catalog.facts.put(BACKED_UP, str(site.context.clock.now_ns() - 3600 * 10**9))
    assert 3600 <= measured(site, "logferry_backup_age_seconds") < 7200
    site.context.catalog.facts.put(BACKED_UP, str(site.context.clock.now_ns() + 3600 * 10**9))
    assert measured(site, "logferry_backup_age_seconds") == 0
