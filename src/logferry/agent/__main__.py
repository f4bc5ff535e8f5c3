"""``python -m logferry.agent agent.toml``: the agent alone, without the command line's other parts."""

from __future__ import annotations

import logging
import os
import sys

from logferry.agent.config import load_config
from logferry.agent.journal import Journal
from logferry.agent.notify import Notifier
from logferry.agent.runner import Agent
from logferry.agent.signals import obey_signals
from logferry.errors import LogferryError


def main(arguments: list[str]) -> int:
    """Run until SIGTERM or SIGINT, reload on SIGHUP; ``--once`` ends when all is sent. Returns the exit code."""
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(levelname)s %(message)s", stream=sys.stderr)
    paths = [argument for argument in arguments if not argument.startswith("-")]
    try:
        path = paths[0] if paths else "agent.toml"
        notifier = Notifier(os.environ, Journal())
        config = load_config(path, os.environ)
        agent = Agent(config, config_path=os.path.abspath(path), environment=os.environ, notifier=notifier)
        obey_signals(agent)
        if "--once" in arguments:
            return 0 if agent.once().complete else 4
        agent.run()
    except LogferryError as error:
        logging.getLogger("logferry.agent").error("%s", error)  # noqa: TRY400 (its text is the next step)
        return error.exit_code
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
