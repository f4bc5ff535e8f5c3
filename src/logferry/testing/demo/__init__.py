"""``python -m logferry.testing.demo``: the real server and three real agents on logs that grow and rotate."""
