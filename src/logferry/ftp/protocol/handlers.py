"""What each verb means: functions from (state, argument) to a reply, or to an action for the shell.

A handler may change the state at once only where no I/O can fail afterwards; the rest happens in
``ServerProtocol.answer``. Errors of ``logferry.errors`` become replies there too.
"""

from __future__ import annotations

import re
from collections.abc import Callable

from logferry.ftp.protocol import bundle, paths
from logferry.ftp.protocol.actions import Action, CheckPassword, FileTask, HangUp, Listen, StartTls, Transfer
from logferry.ftp.protocol.commands import RULES
from logferry.ftp.protocol.listing import FACTS, parse_time_value
from logferry.ftp.protocol.replies import Reply
from logferry.ftp.protocol.state import State
from logferry.limits import FTP_CLIENT_CHARS_MAX

Handler = Callable[[State, str], Reply | Action]

_OPTIONS = re.compile(r"(?:-[A-Za-z1]+(?:\s+|$))+")
_OFFSET = re.compile(r"[0-9]{1,19}")
_MODE = re.compile(r"[0-7]{3,4}")
_UPLOADS = ("APPE", "STOR", "STOU")
_NOT_ACTIVE = Reply(502, ("Active mode is not offered; use EPSV or PASV.",))


def _reply(code: int, *lines: str) -> Reply:
    return Reply(code, lines)


# Login and protection (RFC 959 4.1.1, RFC 2228, RFC 4217) -------------------------------------------------------


def user(state: State, argument: str) -> Reply:
    """USER: remember the name. Whether it exists is not told."""
    if state.tls_required and not state.secure:
        return _reply(530, "TLS is required here: send AUTH TLS first.")
    state.forget_user()
    state.offered_user = argument
    return _reply(331, "Password please.")


def password(state: State, argument: str) -> Reply | Action:
    """PASS: have it checked."""
    if not state.offered_user:
        return _reply(503, "Send USER first.")
    return CheckPassword(state.offered_user, argument)


def auth(state: State, argument: str) -> Reply | Action:
    """AUTH (RFC 4217 4): only TLS, only once."""
    if state.terms.tls == "off":
        return _reply(502, "TLS is switched off on this server.")
    if state.secure:
        return _reply(503, "This connection is protected already.")
    if argument.upper() not in ("TLS", "TLS-C", "SSL", "TLS-P"):
        return _reply(504, "Only AUTH TLS is understood.")
    return StartTls()


def pbsz(state: State, argument: str) -> Reply:
    """PBSZ (RFC 4217 8): a formality that must precede PROT; over TLS it is always 0."""
    if not state.secure:
        return _reply(503, "Send AUTH TLS first.")
    if not argument.strip().isdigit():
        return _reply(501, "PBSZ needs a number.")
    state.pbsz = True
    return _reply(200, "PBSZ=0")


def prot(state: State, argument: str) -> Reply:
    """PROT (RFC 4217 9): P or C."""
    level = argument.strip().upper()
    if not state.secure:
        return _reply(503, "Send AUTH TLS first.")
    if not state.pbsz:
        return _reply(503, "Send PBSZ 0 first.")
    if level in ("S", "E"):
        return _reply(536, "Only PROT P and PROT C go with TLS.")
    if level not in ("P", "C"):
        return _reply(504, "PROT P or PROT C.")
    if level == "C" and state.tls_required:
        return _reply(534, "TLS is required here, on data connections too: PROT P.")
    state.private_data = level == "P"
    return _reply(200, f"Data connections are {'protected' if state.private_data else 'clear'} now.")


def ccc(_state: State, _argument: str) -> Reply:
    """CCC (RFC 4217 6): going back to clear is refused."""
    return _reply(534, "The control connection stays protected.")


def quit_(_state: State, _argument: str) -> Action:
    """QUIT."""
    return HangUp()


# Transfer parameters (RFC 959 4.1.2, RFC 2428) ----------------------------------------------------------------------


def type_(_state: State, argument: str) -> Reply:
    """TYPE: A and I are both accepted, and files travel byte for byte under either."""
    wanted = argument.upper().split()
    if wanted in (["I"], ["L", "8"], ["L8"]):
        return _reply(200, "Type is binary.")
    if wanted in (["A"], ["A", "N"]):
        return _reply(200, "Type is ASCII; files are sent unchanged all the same.")
    return _reply(504, "TYPE I or TYPE A.")


def mode(_state: State, argument: str) -> Reply:
    """MODE: stream only."""
    return _reply(200, "Mode is stream.") if argument.strip().upper() == "S" else _reply(504, "Only MODE S.")


def structure(_state: State, argument: str) -> Reply:
    """STRU: file only."""
    return _reply(200, "Structure is file.") if argument.strip().upper() == "F" else _reply(504, "Only STRU F.")


def pasv(state: State, _argument: str) -> Reply | Action:
    """PASV."""
    if state.epsv_all:
        return _reply(503, "EPSV ALL is in force.")
    if state.ipv6:
        return _reply(522, "PASV cannot tell an IPv6 address; use EPSV (2).")
    return Listen(extended=False)


def epsv(state: State, argument: str) -> Reply | Action:
    """EPSV (RFC 2428 3)."""
    wanted = argument.strip().upper()
    family = "2" if state.ipv6 else "1"
    if wanted == "ALL":
        state.epsv_all = True
        return _reply(200, "Only EPSV from now on.")
    if wanted and wanted not in ("1", "2"):
        return _reply(501, "EPSV, EPSV 1, EPSV 2 or EPSV ALL.")
    if wanted and wanted != family:
        return _reply(522, f"Network protocol not supported, use ({family})")
    return Listen(extended=True)


def active(_state: State, _argument: str) -> Reply:
    """PORT and EPRT: refused, so nobody can be made a target (FTP bounce)."""
    return _NOT_ACTIVE


def rest(state: State, argument: str) -> Reply:
    """REST (RFC 3659 5): holds for the next transfer command."""
    if not _OFFSET.fullmatch(argument.strip()):
        return _reply(501, "REST needs a byte offset.")
    state.rest = int(argument)
    return _reply(350, f"Next transfer starts at {state.rest}.")


def allocate(state: State, argument: str) -> Reply:
    """ALLO (RFC 959 4.1.3): nothing is set aside, but an upload that cannot fit is refused before it begins.

    The record size after ``R`` means nothing here, where files have no records.
    """
    size = argument.upper().partition("R")[0].strip()
    if not _OFFSET.fullmatch(size):
        return _reply(501, "ALLO needs a number of bytes.")
    state.allocated = int(size)
    return _reply(202, "Nothing needs to be allocated; noted for the next upload.")


# Folders and files ------------------------------------------------------------------------------------------------


def cwd(state: State, argument: str) -> Action:
    """CWD; without an argument it goes home."""
    return FileTask("CWD", paths.resolve(state.folder, argument or "/"))


def cdup(state: State, _argument: str) -> Action:
    """CDUP."""
    return FileTask("CWD", paths.resolve(state.folder, ".."))


def pwd(state: State, _argument: str) -> Reply:
    """PWD."""
    return _reply(257, f"{paths.quoted(state.folder)} is the working folder.")


def _task(verb: str) -> Handler:
    def handler(state: State, argument: str) -> Action:
        return FileTask(verb, paths.resolve(state.folder, argument))

    handler.__doc__ = f"{verb} on a path."
    return handler


def _task_not_home(verb: str) -> Handler:
    def handler(state: State, argument: str) -> Reply | Action:
        path = paths.resolve(state.folder, argument)
        return FileTask(verb, path) if path != "/" else _reply(550, "Permission denied: / is the home.")

    handler.__doc__ = f"{verb} on a path that is not the home itself."
    return handler


def rename_to(state: State, argument: str) -> Reply | Action:
    """RNTO: completes RNFR, which must be the command before it."""
    source, state.rename_from = state.rename_from, ""
    if not source:
        return _reply(503, "Send RNFR first.")
    target = paths.resolve(state.folder, argument)
    if target == "/":
        return _reply(553, "/ is the home.")
    return FileTask("RNTO", source, target=target)


def set_modified(state: State, argument: str) -> Reply | Action:
    """MFMT YYYYMMDDHHMMSS path (draft-somers-ftp-mfxx)."""
    moment, _, path = argument.partition(" ")
    if not path:
        return _reply(501, f"Usage: {RULES['MFMT'].usage}")
    return FileTask("MFMT", paths.resolve(state.folder, path), number=parse_time_value(moment))


def mlst(state: State, argument: str) -> Action:
    """MLST (RFC 3659 7)."""
    return FileTask("MLST", paths.resolve(state.folder, argument))


# Transfers ----------------------------------------------------------------------------------------------------------


def _transfer(state: State, verb: str, path: str, *, offset: int = 0, prefix: str = "") -> Reply | Action:
    if state.tls_required and not state.private_data:
        return _reply(521, "Data connections must be protected here: PBSZ 0 and PROT P first.")
    if not state.listens:
        return _reply(425, "No data connection: send EPSV or PASV first.")
    announced = None
    if state.allocated is not None and verb in _UPLOADS:
        announced, state.allocated = state.allocated, None
    return Transfer(verb, path, offset=offset, prefix=prefix, announced=announced)


def store(state: State, argument: str) -> Reply | Action:
    """STOR, at the offset of a REST."""
    path = paths.resolve(state.folder, argument)
    offset, state.rest = state.rest, 0
    return _file_transfer(state, "STOR", path, offset)


def store_unique(state: State, argument: str) -> Reply | Action:
    """STOU: the server finds a free name; 150 and 226 tell it (RFC 1123 4.1.2.9)."""
    state.rest = 0
    return _file_transfer(state, "STOU", paths.resolve(state.folder, argument or "upload"), 0)


def append(state: State, argument: str) -> Reply | Action:
    """APPE."""
    if state.rest:
        state.rest = 0
        return _reply(501, "REST does not go with APPE.")
    return _file_transfer(state, "APPE", paths.resolve(state.folder, argument), 0)


def retrieve(state: State, argument: str) -> Reply | Action:
    """RETR, from the offset of a REST."""
    offset, state.rest = state.rest, 0
    return _file_transfer(state, "RETR", paths.resolve(state.folder, argument), offset)


def _file_transfer(state: State, verb: str, path: str, offset: int) -> Reply | Action:
    if path == "/":
        return _reply(550, "/ is a folder.")
    return _transfer(state, verb, path, offset=offset)


def _list(verb: str) -> Handler:
    def handler(state: State, argument: str) -> Reply | Action:
        state.rest = 0
        if verb != "MLSD":
            # What people and programs send: "-la", "-a", "-l path".
            found = _OPTIONS.match(argument)
            argument = argument[found.end() :] if found else argument
        return _transfer(state, verb, paths.resolve(state.folder, argument), prefix=argument)

    handler.__doc__ = f"{verb}, with the options of ls skipped."
    return handler


def abort(_state: State, _argument: str) -> Reply:
    """ABOR in its turn: the transfer it was for has ended by now (RFC 959 4.1.3)."""
    return _reply(226, "No transfer is under way.")


# Information ----------------------------------------------------------------------------------------------------------


def features(state: State, _argument: str) -> Reply:
    """FEAT (RFC 2389)."""
    lines = ["Extensions:"]
    if state.terms.tls != "off":
        lines += ["AUTH TLS", "PBSZ", "PROT"]
    chosen = ";".join(f"{fact}*" if fact in state.facts else fact for fact in FACTS)
    lines += ["CLNT", "EPSV", "MDTM", "MFMT", f"MLST {chosen};", "REST STREAM", "SIZE", "TVFS", "UTF8"]
    if state.user:
        if state.terms.bundles and state.letters(bundle.FOLDER).allow("w"):
            lines.append(f"{bundle.FEATURE} {bundle.FOLDER} {';'.join(state.terms.bundles)}")
        lines.append(" ".join(["X-LOGFERRY", *["atomic"] * state.atomic, "pipelining", *["keeps"] * state.keeps]))
    return Reply(211, (*lines, "End"))


def options(state: State, argument: str) -> Reply:
    """OPTS (RFC 2389 4): UTF8 and the facts of MLST."""
    name, _, rest_of_line = argument.partition(" ")
    if name.upper() in ("UTF8", "UTF-8"):
        return _reply(200, "Names are UTF-8, always.")
    if name.upper() == "MLST":
        wanted = {fact.lower() for fact in rest_of_line.split(";")}
        state.facts = tuple(fact for fact in FACTS if fact in wanted)
        return _reply(200, f"MLST OPTS {''.join(f'{fact};' for fact in state.facts)}")
    return _reply(501, f"No options for {name[:40]}.")


def system(_state: State, _argument: str) -> Reply:
    """SYST: what makes clients expect ``ls -l`` lines."""
    return _reply(215, "UNIX Type: L8")


def status(state: State, argument: str) -> Reply | Action:
    """STAT: of a path over the control connection, or of the session."""
    if argument:
        if not state.user:
            return _reply(530, "Log in first.")
        if not state.may_somewhere("l"):
            return _reply(550, "Permission denied.")
        found = _OPTIONS.match(argument)
        return FileTask("STAT", paths.resolve(state.folder, argument[found.end() :] if found else argument))
    who = f"Logged in as {state.user}" if state.user else "Not logged in"
    lines = ["Status:", f"{who}; working folder {state.folder}"]
    lines.append("Control connection: TLS" if state.secure else "Control connection: plain")
    lines.append("Data connections: TLS" if state.private_data else "Data connections: plain")
    if state.user and state.terms.now_ns is not None:
        lines.append(f"Server clock: {state.terms.now_ns() // 1_000_000} ms since 1970-01-01T00:00:00Z")
    return Reply(211, (*lines, "End"))


def help_(_state: State, argument: str) -> Reply:
    """HELP."""
    verb = argument.strip().upper()
    if verb in RULES:
        return _reply(214, f"Usage: {RULES[verb].usage}")
    if verb:
        return _reply(501, f"No such command: {verb[:40]}.")
    verbs = sorted(RULES)
    rows = [" ".join(verbs[start : start + 10]) for start in range(0, len(verbs), 10)]
    return Reply(214, ("Commands:", *rows, "End"))


def site(state: State, argument: str) -> Reply | Action:
    """SITE HELP and SITE CHMOD."""
    name, _, rest_of_line = argument.partition(" ")
    if name.upper() == "HELP":
        return Reply(214, ("SITE commands:", "CHMOD <mode> <path>", "HELP", "End"))
    if name.upper() != "CHMOD":
        return _reply(504, f"No such SITE command: {name[:40]}.")
    digits, _, path = rest_of_line.partition(" ")
    if not state.may_somewhere("M"):
        return _reply(550, "Permission denied.")
    if not path or not _MODE.fullmatch(digits):
        return _reply(501, "Usage: SITE CHMOD <octal mode> <path>")
    return FileTask("CHMOD", paths.resolve(state.folder, path), number=int(digits, 8))


def clnt(state: State, argument: str) -> Reply | Action:
    """CLNT: what the client calls itself."""
    state.client = argument[:FTP_CLIENT_CHARS_MAX]
    return _reply(200, "Noted.")


def _fixed(code: int, text: str) -> Handler:
    reply = Reply(code, (text,))
    return lambda _state, _argument: reply


HANDLERS: dict[str, Handler] = {
    "ABOR": abort,
    "ALLO": allocate,
    "APPE": append,
    "AUTH": auth,
    "CCC": ccc,
    "CDUP": cdup,
    "CLNT": clnt,
    "CWD": cwd,
    "DELE": _task_not_home("DELE"),
    "EPRT": active,
    "EPSV": epsv,
    "FEAT": features,
    "HELP": help_,
    "LIST": _list("LIST"),
    "MDTM": _task("MDTM"),
    "MFMT": set_modified,
    "MKD": _task("MKD"),
    "MLSD": _list("MLSD"),
    "MLST": mlst,
    "MODE": mode,
    "NLST": _list("NLST"),
    "NOOP": _fixed(200, "Still here."),
    "OPTS": options,
    "PASS": password,
    "PASV": pasv,
    "PBSZ": pbsz,
    "PORT": active,
    "PROT": prot,
    "PWD": pwd,
    "QUIT": quit_,
    "REST": rest,
    "RETR": retrieve,
    "RMD": _task_not_home("RMD"),
    "RNFR": _task_not_home("RNFR"),
    "RNTO": rename_to,
    "SITE": site,
    "SIZE": _task("SIZE"),
    "STAT": status,
    "STOR": store,
    "STOU": store_unique,
    "STRU": structure,
    "SYST": system,
    "TYPE": type_,
    "USER": user,
}
assert HANDLERS.keys() == RULES.keys()
