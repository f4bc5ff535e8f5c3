"""Scripts and style sheets as few files: each request costs a browser some ten milliseconds before its first paint.

The sources stay many small modules that any browser also loads as they are; no tool has to have run before.
"""

from __future__ import annotations

import posixpath
import re
from collections.abc import Callable, Iterable

Read = Callable[[str], str]
"""The text of the file of a name, relative to the folder of all. Raises KeyError: there is none."""

_IMPORT = re.compile(r'^import (?:\{ ([^}]*) \} from )?"(\.[^"]*)";$', re.MULTILINE)
_EXPORT = re.compile(r"^export ((?:async )?(?:function\*?|class|const) )(\w+)", re.MULTILINE)
_OTHER = re.compile(r"^(?:import|export)\b.*$", re.MULTILINE)
_RENAMED = re.compile(r"(\w+) as (\w+)")


def joined(names: Iterable[str], read: Read) -> str:
    """Style sheets, one after the other."""
    return "\n".join(read(name) for name in names)


def is_entry(text: str) -> bool:
    """Whether a script is run for what it does: it imports others and exports nothing."""
    return bool(_IMPORT.search(text)) and not _EXPORT.search(text)


def bundled(entry: str, read: Read) -> str:
    """The module ``entry`` with all that it imports, directly or not, as one module that does the same.

    Each of the others becomes a function that is called once and returns what it exports. It has to lie where
    ``entry`` lies: that is what ``import.meta.url`` says to all of them.

    Raises:
        ValueError: an import or export of another form than ``import { a, b as c } from "./x.js";`` and ``export
            function|class|const``, or modules that import each other in a circle.
    """
    pieces: list[str] = []
    variables: dict[str, str] = {}

    def variable(name: str, within: tuple[str, ...]) -> str:
        if name in within:
            raise ValueError(f"{' -> '.join((*within, name))}: a circle of imports")
        if name not in variables:
            body, exported = _body(name, (*within, name))
            variables[name] = f"$module{len(variables)}"
            pieces.append(f"const {variables[name]} = (() => {{\n{body}\nreturn {{ {', '.join(exported)} }};\n}})();\n")
        return variables[name]

    def _body(name: str, within: tuple[str, ...]) -> tuple[str, list[str]]:
        def imported(found: re.Match[str]) -> str:
            target = variable(posixpath.normpath(posixpath.join(posixpath.dirname(name), found[2])), within)
            names = _RENAMED.sub(r"\1: \2", found[1] or "")
            return f"const {{ {names} }} = {target};" if names else ""

        text = read(name)
        exported = [found[2] for found in _EXPORT.finditer(text)]
        text = _EXPORT.sub(r"\1\2", _IMPORT.sub(imported, text))
        if other := _OTHER.search(text):
            raise ValueError(f"{name}: {other[0]!r} cannot be bundled")
        return text, exported

    whole, _ = _body(entry, (entry,))
    return "".join(pieces) + whole
