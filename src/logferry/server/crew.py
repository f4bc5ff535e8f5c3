"""Who helps to look through much text: processes beside the server, or the workers of a Dask cluster."""

from __future__ import annotations

import importlib.util
import os
from functools import partial

from logferry.archive.durable import Disk
from logferry.archive.store import LocalStore, Store
from logferry.errors import BadConfig
from logferry.search.cluster import Cluster
from logferry.search.executor import Crew, Processes, settle
from logferry.server.config import ServerConfig
from logferry.server.store import store_of


def check_crew(config: ServerConfig) -> None:
    """Raises BadConfig where ``[search]`` names what cannot be had here."""
    if config.search.cluster and importlib.util.find_spec("distributed") is None:
        raise BadConfig(
            "search.cluster is given, but the package distributed is missing",
            hint="pip install 'logferry[server,cluster]', or leave search.cluster out",
        )


def crew_of(config: ServerConfig) -> Crew | None:
    """What ``[search]`` names; None: nobody. Nothing is started before there is work. Raises BadConfig."""
    check_crew(config)
    if config.search.cluster:
        return Crew(Cluster(config.search.cluster))
    if config.search.processes:
        return Crew(Processes(partial(opened, config), config.search.processes))
    return None


def opened(config: ServerConfig) -> Store:
    """The store, for reading. Raises BadConfig."""
    return store_of(config, "search") or LocalStore(os.path.join(config.data_dir, "store"), Disk())


def run_worker(config: ServerConfig, scheduler: str, name: str) -> None:
    """Work for a cluster in this process until the scheduler ends or the process is told to.

    Raises:
        ImportError: distributed is not installed.
        OSError: the scheduler does not answer.
        BadConfig: the store cannot be opened.
    """
    import asyncio

    from distributed import Worker

    settle(partial(opened, config))

    async def work() -> None:
        # One thread: a worker gets one batch at a time, and compiled code uses a core of its own.
        async with Worker(scheduler, name=name or None, nthreads=1, local_directory=None) as worker:
            await worker.finished()

    asyncio.run(work())
