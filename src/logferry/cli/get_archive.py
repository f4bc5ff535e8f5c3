"""``logferry get -o x.zip``: a folder as one zip or tar, which gets its name when it is what its manifest says."""

from __future__ import annotations

import os

from logferry.cli import failures, text
from logferry.cli.api import Api
from logferry.cli.place import Place
from logferry.errors import Conflict, NotFound
from logferry.limits import COPY_BYTES
from logferry.names import temporary_name
from logferry.takeout import Form
from logferry.takeout.inspecting import Account, inspect


def fetch_archive(api: Api, place: Place, output: str, form: Form, *, force: bool) -> Account:
    """Download a folder into ``output``; it lies under a temporary name beside it until all members are compared.

    Raises:
        Conflict: ``output`` exists, and replacing was not asked for.
        Damaged: what arrived is not what its manifest says.
        LogferryError: the server refused, or the connection broke.
    """
    if os.path.lexists(output) and not force:
        raise Conflict(f"{output} exists here", hint="choose another -o, or --force")
    folder = os.path.dirname(output)
    os.makedirs(folder or ".", exist_ok=True)
    beside = os.path.join(folder, temporary_name(f"{os.getpid()}/{output}"))
    try:
        _download(api, place, beside, form)
        account = inspect(beside, form)
        os.replace(beside, output)
    except BaseException:  # Ctrl-C, too: nobody could go on with it
        if os.path.lexists(beside):
            os.unlink(beside)
        raise
    return account


def _download(api: Api, place: Place, beside: str, form: Form) -> None:
    line, size = text.Progress(), 0
    try:
        answer = api.archive(form, place)
    except NotFound as error:
        raise NotFound(f"there is nothing at {place}", hint=f"see what there is: logferry ls {place.agent}:") from error
    with answer, open(beside, "wb") as out:
        while block := answer.read(COPY_BYTES):
            out.write(block)
            size += len(block)
            line.show(f"{place}: {text.size(size)}")
    line.clear()


def told_of_archive(account: Account, *, as_json: bool) -> int:
    """Say what was got. Returns the exit code."""
    for error in account.errors:
        failures.say(error)
    if as_json:
        text.out_json(
            {
                "files": account.files,
                "bytes": account.bytes,
                "sha256_compared": account.files,
                "failed": list(account.errors),
            }
        )
    else:
        files = f"{account.files:,} file{'s' * (account.files != 1)}"
        text.note(f"got {files}, {text.size(account.bytes)}, sha256 of every file matches the manifest")
    return failures.PARTIAL if account.errors else failures.OK
