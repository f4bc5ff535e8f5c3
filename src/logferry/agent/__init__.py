"""The agent: follows the log files of one node and delivers every byte of them, once, to an FTP server."""
