"""What a client may ask about server and session: FEAT and OPTS (RFC 2389), SYST, STAT, HELP (RFC 959 4.1.3)."""

from __future__ import annotations

from logferry.ftp.protocol import bundle, paths
from logferry.ftp.protocol.actions import Action, FileTask
from logferry.ftp.protocol.commands import ALIASES, RULES
from logferry.ftp.protocol.features import MARK
from logferry.ftp.protocol.handlers.replying import reply
from logferry.ftp.protocol.hash_words import ALGORITHMS
from logferry.ftp.protocol.list_options import read_options
from logferry.ftp.protocol.listing import FACTS
from logferry.ftp.protocol.replies import Reply
from logferry.ftp.protocol.state import State


def features(state: State, _argument: str) -> Reply:
    """FEAT (RFC 2389 3): every extension that works in this session, and no other."""
    found = ["AVBL", "CLNT", "EPSV", "HOST", "MDTM", "MFMT", "RANG STREAM", "REST STREAM", "SIZE", "TVFS", "UTF8"]
    found += ["XCRC", "XMD5", "XSHA1", "XSHA256"]
    found.append("HASH " + ";".join(f"{name}*" if name == state.algorithm else name for name in ALGORITHMS))
    found.append("MLST " + "".join(f"{fact}*;" if fact in state.facts else f"{fact};" for fact in FACTS))
    if state.terms.active:
        found.append("EPRT")
    if state.terms.tls != "off":
        found += ["PBSZ", "PROT"]
        if state.terms.tls != "implicit":
            found.append("AUTH TLS")
    found.sort()
    if state.user:
        if state.terms.bundles and state.letters(bundle.FOLDER).allow("w"):
            found.append(f"{bundle.FEATURE} {bundle.FOLDER} {';'.join(state.terms.bundles)}")
        words = ["X-LOGFERRY", *["atomic"] * state.atomic, "pipelining", "guards", "digests", *["keeps"] * state.keeps]
        if state.mark:
            words.append(f"{MARK}{state.mark}")
        found.append(" ".join(words))
    return Reply(211, ("Extensions:", *found, "End"))


def options(state: State, argument: str) -> Reply:
    """OPTS (RFC 2389 4): UTF8 (RFC 2640), facts of MLST (RFC 3659 7.9), algorithm of HASH, digests behind STOR."""
    name, _, value = argument.partition(" ")
    name = name.upper()
    if name in ("UTF8", "UTF-8"):
        if value.strip().upper() == "OFF":
            return reply(504, "Names are UTF-8, always.")
        return reply(200, "Names are UTF-8, always.")
    if name == "MLST":
        wanted = {fact.lower() for fact in value.split(";")}
        state.facts = tuple(fact for fact in FACTS if fact in wanted)
        return reply(200, f"MLST OPTS {''.join(f'{fact};' for fact in state.facts)}")
    if name == "HASH":
        wanted_name = value.strip().upper()
        if wanted_name and wanted_name not in ALGORITHMS:
            return reply(501, f"Unknown algorithm; {', '.join(ALGORITHMS)}.")
        state.algorithm = wanted_name or state.algorithm
        return reply(200, state.algorithm)
    if name == "STOR":
        if value.strip().upper() not in ("SHA-256", "OFF"):
            return reply(501, "OPTS STOR SHA-256, or OPTS STOR OFF.")
        state.upload_digests = value.strip().upper() == "SHA-256"
        return reply(200, "The reply to a small upload tells its digest." if state.upload_digests else "No digests.")
    return reply(501, f"No options for {name[:40]}.")


def system(_state: State, _argument: str) -> Reply:
    """SYST (RFC 959 4.1.3): what makes clients expect ``ls -l`` lines."""
    return reply(215, "UNIX Type: L8")


def status(state: State, argument: str) -> Reply | Action:
    """STAT (RFC 959 4.1.3): of a path, like LIST but over the control connection, or of the session."""
    if argument:
        if not state.user:
            return reply(530, "Log in first.")
        if not state.may_somewhere("l"):
            return reply(550, "Permission denied.")
        wanted, path = read_options(argument)
        return FileTask("STAT", paths.resolve(state.folder, path), options=wanted)
    who = f"Logged in as {state.user}" if state.user else "Not logged in"
    lines = ["Status:", f"{who}; working folder {state.folder}"]
    lines.append("Control connection: TLS" if state.secure else "Control connection: plain")
    lines.append("Data connections: TLS" if state.private_data else "Data connections: plain")
    if state.user and state.terms.now_ns is not None:
        lines.append(f"Server clock: {state.terms.now_ns() // 1_000_000} ms since 1970-01-01T00:00:00Z")
    return Reply(211, (*lines, "End"))


def help_(_state: State, argument: str) -> Reply:
    """HELP (RFC 959 4.1.3): all commands, or the usage of one."""
    verb = argument.strip().upper()
    rule = RULES.get(ALIASES.get(verb, verb))
    if rule is not None:
        return reply(214, f"Usage: {rule.usage}")
    if verb:
        return reply(501, f"No such command: {verb[:40]}.")
    verbs = sorted([*RULES, *ALIASES])
    rows = [" ".join(verbs[start : start + 10]) for start in range(0, len(verbs), 10)]
    return Reply(214, ("Commands:", *rows, "End"))
