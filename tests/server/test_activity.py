"""What sessions tell becomes, in batches, what the catalog knows of an agent."""

from __future__ import annotations

from logferry.ftp import Incomplete, Introduced, LoggedIn, LoginFailed, Received, Sent, SessionEnded
from logferry.server.activity import Activity
from logferry.server.audit import Deed
from logferry.server.watch import SessionWatch


class Told:
    """Keeps what it is told, in order."""

    def __init__(self) -> None:
        self.calls: list[tuple[str, ...]] = []

    def heard(
        self,
        agent_id: str,
        *,
        address: str | None = None,
        version: str | None = None,
        interval_s: float | None = None,
    ) -> None:
        said = () if version is None else (version, str(interval_s))
        self.calls.append(("heard", agent_id, address or "", *said))

    def failed(self, agent_id: str, text: str) -> None:
        self.calls.append(("failed", agent_id, text))

    def erred(self, agent_id: str, count: int) -> None:
        self.calls.append(("erred", agent_id, str(count)))

    def gone(self, agent_id: str) -> None:
        self.calls.append(("gone", agent_id))


_deeds: list[Deed] = []


def watched() -> tuple[Told, Activity, SessionWatch]:
    """A watch that knows the agent ``web-01``."""
    told = Told()
    activity = Activity(told)
    watch = SessionWatch(activity, _deeds.append)
    watch.is_agent("web-01", "web-01")
    return told, activity, watch


def test_many_signs_of_life_are_one_note() -> None:
    """A thousand uploads a second do not write a thousand times."""
    told, activity, watch = watched()
    watch.event(LoggedIn(1, "web-01", "10.0.0.1"))
    for _ in range(1000):
        watch.asked("web-01")
        watch.event(Received(1, "web-01", "10.0.0.1", path="/a", count=1))
    activity.flush()
    assert told.calls == [("heard", "web-01", "10.0.0.1")]
    activity.flush()
    assert len(told.calls) == 1


def test_a_failure_stands_until_an_upload_succeeds() -> None:
    """In whatever order they fall between two writes."""
    told, activity, watch = watched()
    broken = Incomplete(1, "web-01", "10.0.0.1", path="/a", count=5, reason="connection reset")
    watch.event(broken)
    activity.flush()
    assert told.calls[-2:] == [
        ("failed", "web-01", "upload of /a broke off: connection reset"),
        ("erred", "web-01", "1"),
    ]
    watch.event(broken)
    watch.event(Received(1, "web-01", "10.0.0.1", path="/a", count=9))
    activity.flush()
    assert told.calls[-2:] == [("heard", "web-01", ""), ("erred", "web-01", "1")]  # it was one, whatever came then


def test_every_failure_counts() -> None:
    """However many are passed on at once, and each once."""
    told, activity, watch = watched()
    for _ in range(3):
        watch.event(Incomplete(1, "web-01", "10.0.0.1", path="/a", count=5, reason="connection reset"))
    activity.flush()
    activity.flush()
    assert [call for call in told.calls if call[0] == "erred"] == [("erred", "web-01", "3")]


def test_a_download_that_breaks_off_is_no_failure_of_the_agent() -> None:
    """Only uploads count."""
    told, activity, watch = watched()
    watch.event(Incomplete(1, "web-01", "10.0.0.1", path="/a", direction="out", reason="reset"))
    activity.flush()
    assert told.calls == []


def test_only_a_session_that_logged_in_is_a_sign_of_life() -> None:
    """A stranger who guesses at an agent's password does not keep it alive."""
    told, activity, watch = watched()
    watch.asked("web-01")
    watch.event(LoginFailed(1, "web-01", "10.6.6.6", reason="wrong password"))
    watch.event(SessionEnded(1, "web-01", "10.6.6.6"))
    activity.flush()
    assert told.calls == []
    for session in (2, 3):
        watch.event(LoggedIn(session, "web-01", "10.0.0.1"))
    watch.event(SessionEnded(2, "web-01", "10.0.0.1"))
    activity.flush()
    watch.asked("web-01")
    activity.flush()
    assert told.calls == [("heard", "web-01", "10.0.0.1"), ("heard", "web-01", "")]
    watch.event(SessionEnded(3, "web-01", "10.0.0.1"))
    activity.flush()
    watch.asked("web-01")
    activity.flush()
    assert len(told.calls) == 2


def test_goodbye_is_void_once_the_agent_speaks_again() -> None:
    """And what is left is passed on when everything stops."""
    told, activity, _ = watched()
    activity.start()
    activity.gone("web-01")
    activity.stop()
    assert told.calls[-1][:2] == ("gone", "web-01")
    activity.gone("web-01")
    activity.heard("web-01")
    activity.flush()
    assert told.calls[-1] == ("heard", "web-01", "")


def test_an_agent_says_how_often_it_will_be_heard_and_when_it_goes() -> None:
    """It is gone with its last connection; another client's goodbye means nothing."""
    told, activity, watch = watched()
    for session in (1, 2):
        watch.event(LoggedIn(session, "web-01", "10.0.0.1"))
        watch.event(Introduced(session, "web-01", "10.0.0.1", client="logferry-agent/0.1.0 interval=30"))
    activity.flush()
    assert told.calls == [("heard", "web-01", "10.0.0.1", "0.1.0", "30.0")]
    for session in (1, 2):
        assert ("gone", "web-01") not in told.calls
        watch.event(Introduced(session, "web-01", "10.0.0.1", client="logferry-agent/0.1.0 stopping"))
        watch.asked("web-01")
        watch.event(SessionEnded(session, "web-01", "10.0.0.1"))
        activity.flush()
    assert told.calls[-1] == ("gone", "web-01")
    watch.event(LoggedIn(3, "web-01", "10.0.0.1"))
    watch.event(Introduced(3, "web-01", "10.0.0.1", client="curl; interval=\n stopping"))
    watch.event(SessionEnded(3, "web-01", "10.0.0.1"))
    activity.flush()
    assert told.calls[-1][:2] == ("heard", "web-01")


def test_what_people_do_is_taken_down_and_what_agents_do_is_not() -> None:
    """Coming in, fetching, whole or not, and guessing at the door."""
    _, _, watch = watched()
    _deeds.clear()
    for event in (
        LoggedIn(1, "web-01", "10.0.0.1"),
        Received(1, "web-01", "10.0.0.1", path="/a", count=1),
        LoginFailed(1, "web-01", "10.0.0.1", reason="wrong password"),
        LoggedIn(2, "ann", "10.0.0.2"),
        Sent(2, "ann", "10.0.0.2", path="/web-01/a.log", count=9),
        Incomplete(2, "ann", "10.0.0.2", path="/web-01/b.log", count=5, direction="out", reason="reset"),
        LoginFailed(3, "my secret password", "10.0.0.3", reason="no such user"),
    ):
        watch.event(event)
    assert [(d.kind, d.action, d.who, d.target, d.via, d.address) for d in _deeds] == [
        ("sign-in", "ftp.begin", "ann", "ann", "ftp", "10.0.0.2"),
        ("download", "file.download", "ann", "web-01/a.log", "ftp", "10.0.0.2"),
        ("download", "file.download", "ann", "web-01/b.log", "ftp", "10.0.0.2"),
        ("sign-in", "ftp.begin", "", "", "ftp", "10.0.0.3"),
    ]
    assert _deeds[2].detail["incomplete"] is True
