"""What each verb means: functions from (state, argument) to a reply, or to an action for the shell.

A handler may change the state at once only where no I/O can fail afterwards; the rest happens in
``ServerProtocol.answer``. Errors of ``logferry.errors`` become replies there too.
"""

from __future__ import annotations

from logferry.ftp.protocol.commands import RULES
from logferry.ftp.protocol.handlers import files, information, login, parameters, transfers
from logferry.ftp.protocol.handlers.replying import Handler, fixed
from logferry.ftp.protocol.handlers.site import site

HANDLERS: dict[str, Handler] = {
    "ABOR": transfers.abort,
    "ACCT": login.account,
    "ALLO": transfers.allocate,
    "APPE": transfers.append,
    "AUTH": login.auth,
    "AVBL": files.available,
    "CCC": login.ccc,
    "CDUP": files.cdup,
    "CLNT": login.clnt,
    "CWD": files.cwd,
    "DELE": files.delete,
    "EPRT": parameters.eprt,
    "EPSV": parameters.epsv,
    "FEAT": information.features,
    "HASH": files.hash_,
    "HELP": information.help_,
    "HOST": login.host,
    "LIST": transfers.list_("LIST", "LIST (RFC 959 4.1.3): lines of ls -l, with the options of ls people send."),
    "MDTM": files.modified,
    "MFMT": files.set_modified,
    "MKD": files.make_folder,
    "MLSD": transfers.list_("MLSD", "MLSD (RFC 3659 7): the facts of what is in a folder."),
    "MLST": files.facts,
    "MODE": parameters.mode,
    "NLST": transfers.list_("NLST", "NLST (RFC 959 4.1.3): names, as they can be sent back."),
    "NOOP": fixed(200, "Still here.", "NOOP (RFC 959 4.1.3): a sign of life."),
    "OPTS": information.options,
    "PASS": login.password,
    "PASV": parameters.pasv,
    "PBSZ": login.pbsz,
    "PORT": parameters.port,
    "PROT": login.prot,
    "PWD": files.pwd,
    "QUIT": login.quit_,
    "RANG": parameters.rang,
    "REST": parameters.rest,
    "RETR": transfers.retrieve,
    "RMD": files.remove_folder,
    "RNFR": files.rename_from,
    "RNTO": files.rename_to,
    "SITE": site,
    "SIZE": files.size,
    "STAT": information.status,
    "STOR": transfers.store,
    "STOU": transfers.store_unique,
    "STRU": parameters.structure,
    "SYST": information.system,
    "TYPE": parameters.type_,
    "USER": login.user,
    "XCRC": files.x_hash("XCRC"),
    "XMD5": files.x_hash("XMD5"),
    "XSHA1": files.x_hash("XSHA1"),
    "XSHA256": files.x_hash("XSHA256"),
}
assert HANDLERS.keys() == RULES.keys()
