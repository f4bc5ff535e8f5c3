"""``python -m logferry.cli``: the ``logferry`` program where no script is installed."""

from logferry.cli.main import main

if __name__ == "__main__":
    main()
