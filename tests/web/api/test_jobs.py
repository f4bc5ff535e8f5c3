"""The background jobs over HTTP: what they could not do is named, for those who run the server."""

from __future__ import annotations

from logferry.web.api import shapes
from tests.archive.test_indexes import Failing
from tests.web.served import Served


def test_an_index_that_could_not_be_built_is_named(site: Served) -> None:
    site.put("web-01", "app.log", b"a line\n" * 1_000)
    archive = site.context.archive
    for done in archive.sealer(level=1, maker=Failing("add")).seal(site.context.clock.now_ns() + 10**12):
        assert done.segments == 1
    jobs = shapes.JobList.model_validate(site.client.get("/api/v1/system/jobs").raise_for_status().json())
    (job,) = [job for job in jobs.items if job.name == "index"]
    assert (job.items, job.waiting, job.found, job.failed) == (1, 1, 0, 1)
    (problem,) = job.problems
    assert problem.startswith("store/web-01/")
    assert "no add today" in problem
    assert [other.problems for other in jobs.items if other is not job] == [[], []]
