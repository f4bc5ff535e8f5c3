"""docs/reference/agent-metrics.md from the metrics themselves: `make docs`."""

from __future__ import annotations

import sys

from logferry.agent.metrics import metrics
from logferry.agent.status import Status

_HEAD = """# Metrics of the agent

Prometheus reads them from `http://HOST:PORT/metrics` where `agent.metrics_listen` is set, or from the file that
`agent.metrics_file` names through node_exporter's textfile collector; `logferry agent status --metrics` prints them.
Both are off by default. Counters begin anew when the agent starts. Some alarms that pay:

```
- alert: LogferryAgentDown
  expr: logferry_agent_up == 0 or time() - logferry_agent_status_time_seconds > 300
- alert: LogferryAgentLags
  expr: logferry_agent_lag_seconds > 900
- alert: LogferryAgentCannotReadOrSend
  expr: logferry_agent_files_failing + logferry_agent_files_unreadable > 0
- alert: LogferryAgentSettingsRefused
  expr: logferry_agent_config_ok == 0
```

| name | kind | |
|---|---|---|
"""


def page() -> str:
    """The page."""
    example = Status(
        agent="", version="", pid=0, server="", link="new", link_why="", link_since_ns=0, started_ns=0, written_ns=0,
        stopped=False, files=0, waiting=0, held=0, lag_bytes=0, sent_files=0, sent_bytes=0, generations=0, renames=0,
        last_path="", registry_state="", watching="", heartbeat="ok", clock_skew_s=0.0,
    )  # fmt: skip
    rows = [f"| `{m.full_name}` | {m.kind} | {m.help} |\n" for m in metrics(example, running=True)]
    labels = """
`logferry_agent_info` has the labels `agent`, `version`, `server`; `logferry_agent_link` has `state`
(`new`, `connected`, `away`, `full`, `refused`); `logferry_agent_errors_total` has `kind`, for example `unreachable`,
`timed_out`, `not_signed_in`, `full`, `later`, `refused`.
`…_heartbeat_ok` and `…_clock_skew_seconds` exist only where there is a heartbeat.
"""
    return _HEAD + "".join(rows) + labels


if __name__ == "__main__":
    sys.stdout.write(page())
