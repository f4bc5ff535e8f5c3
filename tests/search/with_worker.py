"""A program that has a worker, tells its process id and waits: to be killed."""

from __future__ import annotations

import os
import sys
import time
from functools import partial

from logferry.archive.durable import Disk
from logferry.archive.store import LocalStore
from logferry.search.executor import Processes

if __name__ == "__main__":
    executor = Processes(partial(LocalStore, sys.argv[1], Disk()), 1).executor(0)
    print(executor.submit(os.getpid).result(), flush=True)
    while True:
        time.sleep(60)
