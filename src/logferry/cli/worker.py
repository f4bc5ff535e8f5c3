"""``logferry worker``: look through text for searches, as a worker of a Dask cluster."""

from __future__ import annotations

import importlib.util

import click

from logferry.cli import text
from logferry.cli.environment import for_server
from logferry.cli.premises import config_option
from logferry.cli.serve import need_server
from logferry.errors import Refused, Unreachable


@click.command()
@config_option
@click.option("--scheduler", help="Address of the cluster's scheduler, tcp://host:port (search.cluster).")
@click.option("--name", default="", help="What the cluster calls this worker; default: its address.")
def worker(file: str | None, scheduler: str | None, name: str) -> int:
    """Look through text for the searches of a server, until the cluster's scheduler ends or Ctrl-C.

    Run one for each core that may work. It reads segments from the store that the settings name, a bucket or a folder
    that this machine shares with the server, and needs nothing else of the archive. Start the scheduler with `dask
    scheduler` in a network where only machines of your own reach it: whoever does can run any program on its workers.
    """
    need_server()
    if importlib.util.find_spec("distributed") is None:
        raise Refused("the package distributed is missing", hint="pip install 'logferry[server,cluster]'")
    from logferry.server.config import load_config
    from logferry.server.crew import run_worker

    config = load_config(file, for_server())
    address = scheduler or config.search.cluster
    if not address:
        raise Refused("no scheduler is named", hint="--scheduler tcp://host:8786, or search.cluster in the settings")
    text.note(f"working for {address}; Ctrl-C ends it")
    try:
        run_worker(config, address, name)
    except OSError as error:
        hint = "is `dask scheduler` running?"
        raise Unreachable(f"the scheduler {address} does not answer: {error}", hint=hint) from error
    return 0
