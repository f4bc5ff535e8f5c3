"""An archive of which somebody may see a part; everything outside of it bears a word that must never come to them."""

from __future__ import annotations

import base64
import gzip
import io
import json
import tarfile
import zipfile
from collections.abc import Iterable
from dataclasses import dataclass, field
from urllib.parse import unquote_plus

import pyarrow.parquet
import zstandard

from logferry.archive.catalog.care import FlawRecord
from logferry.server.audit import Deed
from logferry.server.heartbeats import Told
from logferry.web.api.heartbeat import Beat
from tests.web.served import Served

SCOPE = ("web-*/var/**",)
SEEN_AGENT, SEEN_PATH = "web-01", "var/log/a.log"
HIDDEN_AGENT, HIDDEN_PATH = "vault-7", "vaultfolder/vaultfile.log"
BESIDE_PATH = "opt/vaultbeside.log"
"""Of the agent that is seen, where the scope does not reach."""
MARKS = (
    "vault-7", "vaultfolder", "vaultfile", "vaultbeside", "vaultline", "vaultgroup", "vaultversion", "vaulterror",
    "vaultsaved", "vaultaddress", "vaulttoken", "vaulthold", "vaultflaw", "vaultdeed", "vaultuser", "vaultkept",
    "vaultword",
)  # fmt: skip


@dataclass
class Vault:
    """What was put where: numbers that lead to hidden things, and how everybody shows who they are."""

    site: Served
    numbers: dict[str, list[object]] = field(default_factory=dict)
    """Values worth asking for, by the name of a parameter."""
    headers: dict[str, dict[str, str]] = field(default_factory=dict)
    """Of each role."""

    def enter(self) -> None:
        """Fill it, and let everybody in."""
        context, site = self.site.context, self.site
        agents = context.catalog.agents
        hidden = site.put(HIDDEN_AGENT, HIDDEN_PATH, b"2026-11-23T08:00:00Z ERROR vaultline one\n" * 20)
        seen = site.put(SEEN_AGENT, SEEN_PATH, b"2026-11-23T08:00:00Z ERROR plain line\n" * 20)
        beside = site.put(SEEN_AGENT, BESIDE_PATH, b"vaultline two\n")
        site.put(HIDDEN_AGENT, HIDDEN_PATH, b"vaultline three\n")
        agents.change(HIDDEN_AGENT, group="vaultgroup", version="vaultversion", address="vaultaddress")
        agents.failed(HIDDEN_AGENT, "vaulterror")
        agents.failed(SEEN_AGENT, f"552 over quota: {BESIDE_PATH}")
        agents.change(SEEN_AGENT, group="web")  # waits until all that was posted is written
        beat = Beat(version="1", time_ns=1, sources=["/opt/vaultbeside"], problems=[f"{BESIDE_PATH}: vaultword"])
        for agent in (SEEN_AGENT, HIDDEN_AGENT):
            site.app.state.nurse.heartbeats.put(agent, Told(context.clock.now_ns(), "10.0.0.1", beat))
        people = context.people
        people.create("vaultuser", None, role="admin")
        owner = people.get("vaultuser")
        kept: list[object] = [
            context.catalog.saved.add(owner.id, "vaultsaved", "/search?q=vaultkept", shared=False),
            context.catalog.saved.add(owner.id, "vaultsaved two", f"/view/{HIDDEN_AGENT}/{HIDDEN_PATH}", shared=True),
        ]
        _, token = people.new_token("vaultuser", label="vaulttoken")
        held = context.catalog.retaining.add_hold(f"{HIDDEN_AGENT}/**", "vaulthold")
        now_ns = context.clock.now_ns()
        flaw = FlawRecord("store/vaultflaw", -1, "frame", HIDDEN_AGENT, HIDDEN_PATH, "vaultflaw", now_ns, now_ns)
        context.catalog.care.note("store/vaultflaw", [flaw])
        context.audit.note(Deed("change", "vaultdeed", target=HIDDEN_AGENT, who="vaultuser"))
        job = site.client.post("/api/v1/searches", json={"q": "vaultline"}).json()["id"]
        self.numbers = {
            "fid": [seen, hidden, beside], "f": [hidden], "fids": [hidden, beside], "agent": [SEEN_AGENT, HIDDEN_AGENT],
            "agent_id": [SEEN_AGENT, HIDDEN_AGENT], "path": [SEEN_PATH, HIDDEN_PATH, BESIDE_PATH, "", "vaultfolder"],
            "gen": [1, 2], "job_id": [job], "saved_id": kept, "token_id": [token.id], "hold_id": [held.id],
            "name": ["vaultuser"], "q": ["vaultline", "line", "agent:vault-7", "path:vault*", ""], "form": ["zip"],
        }  # fmt: skip
        self._let_in()

    def _let_in(self) -> None:
        people = self.site.context.people
        for role, rank, scope in (
            ("viewer", "viewer", ()), ("narrow", "viewer", SCOPE), ("operator", "operator", ()), ("admin", "admin", ()),
            ("part", "admin", SCOPE),
        ):  # fmt: skip
            people.create(role, None, role=rank, scope=scope)
            self.renew(role)
        enrolment = self.site.context.enrolment
        joined = enrolment.join(enrolment.new_join_token().secret, agent_id="web-02")
        self.headers["agent"] = {"Authorization": f"Basic {_basic(joined.user, joined.password)}"}
        self.headers["stranger"] = {}

    def renew(self, role: str) -> None:
        """Another token, where one was revoked by what was asked."""
        secret, _ = self.site.context.people.new_token(role)
        self.headers[role] = {"Authorization": f"Bearer {secret}"}


def _basic(user: str, password: str) -> str:
    return base64.b64encode(f"{user}:{password}".encode()).decode()


BLIND = ("stranger", "agent", "narrow", "part")
"""Who must never be told of the vault."""


def told(asked: Iterable[str], content: bytes, headers: Iterable[str]) -> list[str]:
    """Marks that came back and were not in what was asked, however the answer is packed."""
    given = " ".join(unquote_plus(text) for text in asked).casefold()
    text = " ".join([*headers, *(part.decode("utf-8", "replace") for part in _unpacked(content))])
    text = (text + _unescaped(text)).casefold()
    return [mark for mark in MARKS if mark in text and mark not in given]


def _unescaped(text: str) -> str:
    return text.encode().decode("unicode_escape", "replace") if "\\u" in text else ""


def _unpacked(content: bytes) -> list[bytes]:
    """The bytes, and what is in them if they are an archive or a table."""
    found = [content]
    if content.startswith(b"PK"):
        with zipfile.ZipFile(io.BytesIO(content)) as archive:
            for name in archive.namelist():
                found += [name.encode(), archive.read(name)]
    if content.startswith(b"\x1f\x8b"):
        content = gzip.decompress(content)
    elif content.startswith(b"\x28\xb5\x2f\xfd"):
        content = zstandard.ZstdDecompressor().stream_reader(content, read_across_frames=True).read()
    if content[257:262] == b"ustar":
        with tarfile.open(fileobj=io.BytesIO(content)) as tar:
            for member in tar:
                file = tar.extractfile(member)
                found += [member.name.encode(), file.read() if file else b""]
    if content.startswith(b"PAR1"):
        found.append(json.dumps(pyarrow.parquet.read_table(io.BytesIO(content)).to_pylist(), default=repr).encode())
    return found
