"""Counters of the web part, for Prometheus. One registry per process."""

from __future__ import annotations

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram

REGISTRY = CollectorRegistry()
REQUESTS = Counter(
    "logferry_web_requests_total", "HTTP requests by method and status", ("method", "status"), registry=REGISTRY
)
REQUEST_S = Histogram("logferry_web_request_seconds", "Time to answer a request, streams included", registry=REGISTRY)
STREAMS = Gauge(
    "logferry_web_streams", "Open streams: searches, tails, archives, exports", ("kind",), registry=REGISTRY
)
JOBS = Gauge("logferry_search_jobs", "Searches kept with their hits, running or ended", registry=REGISTRY)
SEARCHED_BYTES = Counter("logferry_search_scanned_bytes_total", "Bytes that searches looked at", registry=REGISTRY)
SIGN_INS = Counter("logferry_web_sign_ins_total", "Sign-ins by outcome", ("outcome",), registry=REGISTRY)
FLAWS = Gauge(
    "logferry_archive_flaws", "Damaged places that verifying found and that are not well since", registry=REGISTRY
)
SEGMENTS = Gauge("logferry_archive_segments", "Segments in the store", registry=REGISTRY)
SEGMENT_BYTES = Gauge("logferry_archive_segment_bytes", "Bytes of all segments in the store", registry=REGISTRY)
CONTENT_BYTES = Gauge("logferry_archive_content_bytes", "Bytes that the segments hold, expanded", registry=REGISTRY)
INDEX_BYTES = Gauge("logferry_archive_index_bytes", "Bytes of the segments' indexes in the store", registry=REGISTRY)
UNINDEXED = Gauge(
    "logferry_archive_unindexed_segments", "Segments without an index that can be used", registry=REGISTRY
)
BACKUP_S = Gauge(
    "logferry_backup_age_seconds",
    "Since the moment that the last whole backup shows; +Inf: there was never one",
    registry=REGISTRY,
)
UNVERIFIED_S = Gauge(
    "logferry_archive_unverified_seconds", "Since the segment that waits longest was verified", registry=REGISTRY
)
ALERTS = Gauge("logferry_alerts_open", "Alerts that are open, by kind", ("kind",), registry=REGISTRY)
ALERTS_MUTED = Gauge("logferry_alerts_muted", "Of those that are open, how many are muted", registry=REGISTRY)
ALERT_MESSAGES = Gauge(
    "logferry_alert_messages", "Messages of alerts that are kept, by channel and state", ("channel", "state"),
    registry=REGISTRY,
)  # fmt: skip
AGENTS = Gauge("logferry_agents", "Agents by state", ("state",), registry=REGISTRY)
