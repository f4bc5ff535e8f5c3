"""Bundles do what their modules did, or say which line they cannot take over."""

from __future__ import annotations

from collections.abc import Mapping

import pytest

from logferry.web.pages.assets import FOLDER
from logferry.web.pages.bundles import bundled, is_entry, joined

MODULES = {
    "page.js": 'import { twice as double } from "./low/twice.js";\nimport { LOG, note } from "./log.js";\n'
    'import "./alone.js";\nnote(double(21));\nglobalThis.told = LOG.join(" ");\n',
    "low/twice.js": 'import { note } from "../log.js";\n'
    'export function twice(n) {\n  note("twice");\n  return 2 * n;\n}\n',
    "log.js": "export const LOG = [];\nexport class Never {}\nexport async function* none() {}\n"
    "export function note(text) {\n  LOG.push(text);\n}\nnote('begun');\n",
    "alone.js": "globalThis.wasAlone = true;\nconst note = 'its own';\n",
}


def test_each_module_runs_once_before_those_that_import_it() -> None:
    """Names of one module are not in the way of another's; what is imported is there under the name it was given."""
    text = bundled("page.js", MODULES.__getitem__)
    assert text.count("globalThis.wasAlone") == text.count("const LOG") == 1
    assert text.index("const LOG") < text.index("function twice") < text.index("note(double(21))")
    assert "const { twice: double } = $module" in text
    assert "import" not in text
    assert "export" not in text


@pytest.mark.parametrize(
    ("modules", "why"),
    [
        ({"a.js": 'import { b } from "./b.js";', "b.js": 'import { a } from "./a.js";\nexport const b = 1;'}, "circle"),
        ({"a.js": 'import all from "./b.js";', "b.js": "export const b = 1;"}, "import all"),
        ({"a.js": 'import { b } from "./b.js";', "b.js": "export default 1;"}, "export default"),
        ({"a.js": 'import { b } from "./b.js";', "b.js": "export let b = 1;"}, "export let"),
        ({"a.js": 'import { b } from "./b.js";', "b.js": "const b = 1;\nexport { b };"}, "export {"),
    ],
)
def test_what_cannot_be_bundled_is_said(modules: Mapping[str, str], why: str) -> None:
    """Never a bundle that would do something else."""
    with pytest.raises(ValueError, match=why):
        bundled("a.js", modules.__getitem__)


def test_only_scripts_that_are_run_for_what_they_do_are_bundled() -> None:
    """Modules that others import stay as they are: both ways of loading them lead to one."""
    entries = {path.name for path in FOLDER.glob("*.js") if is_entry(path.read_text())}
    assert {"app.js", "log-view.js", "search.js", "tail.js", "merged-view.js"} <= entries
    assert not {"text.js", "api.js", "zone.js"} & entries


def test_style_sheets_keep_their_order() -> None:
    """Later rules win over earlier ones."""
    assert joined(["b.css", "a.css"], {"a.css": "a {}\n", "b.css": "b {}\n"}.__getitem__) == "b {}\n\na {}\n"
