"""What must hold in the end: every file equal to its source, by three ways out of the archive, and old ones kept."""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import ssl
import subprocess
from collections.abc import Callable
from dataclasses import dataclass
from ftplib import FTP_TLS
from pathlib import Path

from logferry.cli.api import Api
from logferry.cli.place import Place
from logferry.errors import LogferryError
from logferry.limits import COPY_BYTES
from logferry.testing.demo.nodes import Fleet, Node, sha256
from logferry.testing.demo.programs import Programs


@dataclass(frozen=True, slots=True)
class Row:
    """One line of the summary."""

    what: str
    right: int
    wanted: int
    note: str = ""

    @property
    def good(self) -> bool:
        """Whether all was as it must be."""
        return self.right == self.wanted and self.wanted > 0


def archived(api: Api, fleet: Fleet) -> dict[tuple[str, str], int]:
    """Size of every file the archive has, by agent and path."""
    return {(n.agent, row["path"]): row["size"] for n in fleet.nodes for row in api.under(Place(n.agent, ""))}


def is_shipped(programs: Programs, fleet: Fleet) -> bool:
    """Whether every file on the nodes has its full size in the archive."""
    try:
        with programs.api() as api:
            found = archived(api, fleet)
    except LogferryError:  # not yet known to the server, or the server is just away
        return False
    return all(found.get(place) == size for place, size in fleet.sizes().items())


def compare(what: str, fleet: Fleet, copy_of: Callable[[Node, str], Path]) -> Row:
    """Compare every file with a copy of it by SHA-256."""
    right, wanted, wrong = 0, 0, ""
    for node in fleet.nodes:
        for path, source in node.files():
            wanted += 1
            copy = copy_of(node, path)
            if copy.is_file() and sha256(copy) == sha256(source):
                right += 1
            else:
                wrong = wrong or f"first difference: {node.agent}:/{path}"
    return Row(what, right, wanted, wrong)


def live_tree(programs: Programs, fleet: Fleet) -> Row:
    """The plain files in the data folder."""
    return compare("live tree", fleet, lambda node, path: programs.data / "live" / node.agent / path)


def by_get(programs: Programs, fleet: Fleet) -> Row:
    """Files fetched by ``logferry get``."""
    out = programs.folder / "got"
    for node in fleet.nodes:
        programs.run("get", f"{node.agent}:/", "-o", str(out / node.agent), "--verify")
    return compare("logferry get", fleet, lambda node, path: out / node.agent / path)


def by_ftp(programs: Programs, fleet: Fleet) -> Row:
    """Files fetched over FTPS as the administrator: by lftp, or by Python's ftplib where there is no lftp."""
    out = programs.folder / "ftp"
    program = "lftp" if shutil.which("lftp") else "ftplib"
    for node in fleet.nodes:
        (out / node.agent).mkdir(parents=True)
        (_lftp if program == "lftp" else _ftplib)(programs, node, out / node.agent)
    return compare(f"FTPS download ({program})", fleet, lambda node, path: out / node.agent / path)


def _certificate(programs: Programs) -> Path:
    """The server's own certificate: the only one these clients trust."""
    return programs.data / "tls" / "certificate.pem"


def _lftp(programs: Programs, node: Node, out: Path) -> None:
    host, _, port = programs.ftp.rpartition(":")
    script = (
        "set cmd:fail-exit yes; set net:max-retries 2; set net:timeout 20; set ftp:ssl-force yes; "
        "set ftp:ssl-protect-data yes; set ssl:check-hostname no; set mirror:set-permissions no; "
        f"set ssl:ca-file {_certificate(programs)}; open -p {port} -u admin,{programs.password} {host}; "
        f"mirror --parallel=4 --no-empty-dirs /{node.agent} {out}"
    )
    home = {"HOME": str(programs.folder), "LFTP_HOME": str(programs.folder / "lftp")}
    subprocess.run(["lftp", "-c", script], env=os.environ | home, check=True, capture_output=True, timeout=120)


def _ftplib(programs: Programs, node: Node, out: Path) -> None:
    host, _, port = programs.ftp.rpartition(":")
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname = False
    context.load_verify_locations(cafile=_certificate(programs))
    with FTP_TLS(context=context, encoding="utf-8") as ftp:  # noqa: S321 - the FTP client is what we want to see work
        ftp.connect(host, int(port), timeout=30)
        ftp.login("admin", programs.password)
        ftp.prot_p()
        for path, _source in node.files():
            copy = out / path
            copy.parent.mkdir(parents=True, exist_ok=True)
            with copy.open("wb") as file:
                ftp.retrbinary(f"RETR /{node.agent}/{path}", file.write)


def generations(programs: Programs, fleet: Fleet) -> Row:
    """Every life of every file, those the node has lost included, is a generation with the same bytes."""
    right, wanted, wrong = 0, 0, ""
    with programs.api() as api:
        for node in fleet.nodes:
            if not node.tree or not node.tree.ledger:
                continue
            digests = set().union(*(_digests(api, int(row["fid"])) for row in api.under(Place(node.agent, ""))))
            home = str(node.watched[0]).strip("/")
            for life in node.tree.ledger.lives:
                wanted += 1
                if life.sha256() in digests:
                    right += 1
                else:
                    wrong = wrong or f"first that is missing: {node.agent}:/{home}/{os.fsdecode(life.path)}"
    return Row("generations kept", right, wanted, wrong)


def _digests(api: Api, fid: int) -> set[str]:
    """SHA-256 of every generation of a file, from its bytes and not from the catalog."""
    found = set()
    for row in api.get(f"/files/{fid}/generations")["items"]:
        digest = hashlib.sha256()
        with api.raw(fid, gen=row["number"]) as answer:
            while block := answer.read(COPY_BYTES):
                digest.update(block)
        found.add(digest.hexdigest())
    return found


def search(programs: Programs, fleet: Fleet) -> Row:
    """``logferry grep`` finds the word in as many lines as there are."""
    printed = programs.run("grep", "--json", "--limit", "2000", f'"{fleet.word}"', ok=(0, 1))
    hits = [row for row in map(json.loads, printed.splitlines()) if row["type"] == "hit"]
    right = sum(1 for row in hits if fleet.word.lower() in row["s"].lower())
    return Row(f"search for {fleet.word}", right, fleet.hits, "" if right == len(hits) else "a hit without the word")
