"""Small files over FTP, by hand: 5,000 x 20 KB by one tight client, our server beside its peers, interleaved.

``python -m bench.ftp_small_files`` prints files/s and server CPU seconds; ``--tls`` does 1,000 files over explicit TLS,
``--clients n`` lets n clients share the work, ``--pipelined`` sends commands ahead as our own client does.
"""

from __future__ import annotations

import argparse
import shutil
import statistics
import tempfile
from pathlib import Path

from bench.ftp.load import Work, small_files
from bench.ftp.servers import kinds, running


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--tls", action="store_true")
    parser.add_argument("--pipelined", action="store_true", help="only with ours: the others need not bear it")
    parser.add_argument("--clients", type=int, default=1)
    parser.add_argument("--files", type=int)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--folder", default="/var/tmp", help="where the files go: a disk, or /dev/shm to leave it out")
    parser.add_argument("--only", action="append", help=f"which servers: {', '.join(kinds())}")
    given = parser.parse_args()
    wanted = given.only or kinds()
    found: dict[str, list[tuple[float, float]]] = {kind: [] for kind in wanted}
    for _ in range(given.rounds):
        for kind in wanted:
            ahead = given.pipelined and kind.startswith("ours")
            work = Work(
                given.files or (1_000 if given.tls else 5_000), clients=given.clients, tls=given.tls, ahead=ahead
            )
            folder = Path(tempfile.mkdtemp(prefix="ftp-small-", dir=given.folder))
            folder.chmod(0o755)
            try:
                with running(kind, folder, tls=given.tls) as server:
                    found[kind].append(small_files(server, work))
            finally:
                shutil.rmtree(folder)
    for kind, results in found.items():
        rates, costs = ([result[column] for result in results] for column in (0, 1))
        print(f"{kind:10} {statistics.median(rates):6.0f} files/s {statistics.median(costs):5.2f} s CPU  ", end="")
        print(" ".join(f"{rate:.0f}/{cost:.2f}" for rate, cost in results))


if __name__ == "__main__":
    main()
