"""``logferry ftp``: the FTP library from the shell, with any server and without one of Logferry's."""

from __future__ import annotations

import click

from logferry.cli.ftp_copy import get, mirror, put
from logferry.cli.ftp_ls import ls
from logferry.cli.ftp_serve import serve


@click.group()
def ftp() -> None:
    """Any FTP server: put, get, ls, mirror; or serve a folder.

    \b
    logferry ftp put app.log ftps://ann@logs.example/web/
    logferry ftp mirror /var/log ftps://ann@logs.example/web-01 --include '*.log'
    Passwords: asked for, or --password-file, LOGFERRY_FTP_PASSWORD, ~/.netrc.
    """


for _command in (get, ls, mirror, put, serve):
    ftp.add_command(_command)
