"""What leaves the server in a support bundle, without its secrets and, where wanted, without names. Pure.

Secrets that are known are replaced wherever they stand; what looks like one, too: tokens, codes, hashes, passwords in
addresses and queries. Rather too much is masked than too little.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterable, Mapping
from typing import Any

MASK = "***"
_SECRET_CHARS_MIN = 4
_LOOKS_SECRET = re.compile(
    r"""
      \bL[TJ]-[A-Za-z0-9_-]{6,}                                            # tokens of the API, for joining
    | \b[2-9A-HJ-NP-Z]{5}(?:-[2-9A-HJ-NP-Z]{5}){2,}                        # codes people type
    | \$?(?:argon2|scrypt|pbkdf2|bcrypt|2[aby])[a-z0-9]*\$[^\s"']+         # hashes of passwords
    | (?<![A-Za-z0-9+/_-])(?=[A-Za-z0-9+/_-]*[a-z])(?=[A-Za-z0-9+/_-]*[A-Z])
      [A-Za-z0-9+_-]{27,}={0,2}                                            # random text
    | (?<![0-9A-Za-z])(?<!sha256/)[0-9a-fA-F]{32,}(?![0-9A-Za-z])          # digests, but for the pin, which is public
    | -----BEGIN[ ][A-Z ]+-----.*?-----END[ ][A-Z ]+-----
    """,
    re.VERBOSE | re.DOTALL,
)
_IN_ADDRESS = re.compile(r"([a-z][a-z0-9+.-]*://)[^/\s@\"']*@", re.IGNORECASE)
_NAMED = re.compile(
    r"(?P<name>(?:pass(?:word|wd|phrase)?|secret|token|authorization|bearer|cookie|csrf|api[_-]?key|code|otp)"
    r"\"?\s*[=:]\s*\"?)(?P<value>[^\s\"'&,;}]+)",
    re.IGNORECASE,
)
_HOOK = re.compile(r"(https?://[^/\s\"']+)/[^\s\"']+", re.IGNORECASE)
_SECRET_NAME = re.compile(r"(?:password|passwd|secret|token|webhook|key_id|private)", re.IGNORECASE)
_KEPT = ("timestamp", "level", "event")
_PLAIN = re.compile(
    r"true|false|off|required|explicit|file|sqlite|local|starttls|tls|UTC|[0-9]+(\.[0-9]+)?\s?[A-Za-z/%]{0,6}|[0-9]+-[0-9]+"
)


class Masker:
    """Takes secrets, and names where ``hide`` has a key for this bundle, out of texts and values.

    Args:
        secrets: known ones; what is shorter than four characters is no secret.
        hide: with it, equal names are equal pseudonyms within one bundle, and nothing outside of it.
        names: that are known: of the machine, of folders. The longest is replaced first.
    """

    def __init__(self, secrets: Iterable[str], *, hide: bytes | None = None, names: Iterable[str] = ()) -> None:
        known = sorted({s for s in secrets if len(s) >= _SECRET_CHARS_MIN}, key=len, reverse=True)
        self._known = re.compile("|".join(map(re.escape, known))) if known else None
        self._hide = hide
        hidden = sorted({n for n in names if len(n) > 1}, key=len, reverse=True) if hide is not None else []
        self._names = re.compile("|".join(map(re.escape, hidden))) if hidden else None

    def text(self, text: str) -> str:
        """``text`` without secrets, and without the names that are known."""
        if self._known is not None:
            text = self._known.sub(MASK, text)
        text = _IN_ADDRESS.sub(rf"\1{MASK}@", text)
        text = _NAMED.sub(rf"\g<name>{MASK}", text)
        text = _HOOK.sub(rf"\1/{MASK}", text)
        text = _LOOKS_SECRET.sub(MASK, text)
        if self._names is not None:
            text = self._names.sub(lambda found: self.name(found.group()), text)
        return text

    def name(self, name: str) -> str:
        """``name``, or its pseudonym. It is masked as a secret would be."""
        if self._hide is None:
            return self.text(name)
        return (
            "name-"
            + hashlib.blake2b(name.encode("utf-8", "surrogateescape"), key=self._hide, digest_size=5).hexdigest()
        )

    def setting(self, name: str, value: Any) -> Any:
        """The value of a setting: masked where its name says that it is a secret, or it holds one."""
        if isinstance(value, (list, tuple)):
            return [self.setting(name, one) for one in value]
        if not isinstance(value, str) or not value:
            return value
        last = name.rpartition(".")[2]
        if _SECRET_NAME.search(last) and not last.endswith("_file"):
            return MASK
        if self._hide is not None and not _PLAIN.fullmatch(value):
            return self.name(value)
        return self.text(value)

    def entry(self, facts: Mapping[str, Any]) -> dict[str, Any]:
        """An entry of the log. With hidden names only its time, level, event and numbers are kept as they are."""
        return {key: self._fact(key, value) for key, value in facts.items()}

    def _fact(self, key: str, value: Any) -> Any:
        if isinstance(value, (bool, int, float)) or value is None:
            return value
        if _SECRET_NAME.search(key):
            return MASK
        if isinstance(value, str):
            return self.text(value) if self._hide is None or key in _KEPT else self.name(value)
        if isinstance(value, Mapping):
            return {str(inner): self._fact(str(inner), one) for inner, one in value.items()}
        if isinstance(value, (list, tuple)):
            return [self._fact(key, one) for one in value]
        return self._fact(key, str(value))
