"""Folders: one page of what lies in a folder, and the tree beside it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any
from urllib.parse import urlencode

from starlette.responses import RedirectResponse, Response

from logferry.archive.records import FolderRecord
from logferry.errors import NotFound
from logferry.web.pages.facts import File, crumbs, file_at, parent_of
from logferry.web.pages.guard import Visit
from logferry.web.pages.shell import root_of

TREE_NODES_PER_LEVEL = 60
TREE_DEPTH_MAX = 6


@dataclass(frozen=True, slots=True)
class Listing:
    """One page of a folder as the visitor may see it, sums included."""

    agent: str
    path: str
    record: FolderRecord
    folders: list[FolderRecord]
    files: list[File]
    cursor: str | None

    def values(self, visit: Visit, here: str, parent: str | None) -> dict[str, Any]:
        """What ``folder_table.html`` needs."""
        return {
            "folders": self.folders,
            "files": self.files,
            "parent": parent,
            "next": visit.link(here, cursor=self.cursor) if self.cursor else "",
        }


@dataclass(frozen=True, slots=True)
class TreeNode:
    """One line of the tree."""

    name: str
    link: str
    depth: int
    open: bool
    current: bool


def folder_page(visit: Visit, agent: str, path: str) -> Listing:
    """What lies directly in a folder and may be seen, one page of it. Raises NotFound."""
    record, page = visit.sight.folder(agent, path, cursor=visit.asked("cursor") or None)
    originals, measures = visit.sight.originals(page.files), visit.sight.measures(page.files)
    files = [
        file_at(file, visit.now_ns, originals.get(file.generation_id), measures.get(file.generation_id))
        for file in page.files
    ]
    return Listing(agent, path, record, list(page.folders), files, page.next)


def browse(visit: Visit) -> Response:
    """``/browse/{agent}/{path}``"""
    agent = visit.request.path_params["agent"]
    path = visit.request.path_params.get("path", "").strip("/")
    try:
        listing = folder_page(visit, agent, path)
    except NotFound:
        if not _is_file(visit, agent, path):
            raise
        return RedirectResponse(visit.link(f"/view/{agent}/{path}"), 303)
    parent = visit.link(f"/browse/{agent}/{parent_of(path)}") if path else visit.link("/files")
    return visit.page(
        "browse.html",
        agent=agent,
        path=path,
        record=listing.record,
        crumbs=crumbs(root_of(visit.request), agent, path),
        tree=_tree(visit, agent, path),
        take_out={form: _take_out(visit, form, agent, path) for form in ("zip", "tar")},
        search_here=f"agent:{agent} " + (f'path:"{_quoted(path)}" ' if path else ""),
        **listing.values(visit, f"/browse/{agent}/{path}", parent),
    )


def _is_file(visit: Visit, agent: str, path: str) -> bool:
    try:
        visit.sight.file_at(agent, path)
    except NotFound:
        return False
    return True


def _take_out(visit: Visit, form: str, agent: str, path: str) -> str:
    """Where a folder is to be had as one file."""
    return f"{visit.link(f'/api/v1/archive.{form}')}?{urlencode({'agent': agent, 'path': path})}"


def _quoted(path: str) -> str:
    return path.replace("\\", "\\\\").replace('"', '\\"')


def _tree(visit: Visit, agent: str, path: str) -> list[TreeNode]:
    """The agent's folders along ``path``: each level with its siblings, the open ones with their children."""
    nodes = [TreeNode(agent, visit.link(f"/browse/{agent}/"), 0, open=True, current=path == "")]

    def grow(folder: str, depth: int) -> None:
        if depth > TREE_DEPTH_MAX:
            return
        for child in _children(visit, agent, folder, path):
            is_open = path == child.path or path.startswith(child.path + "/")
            link = visit.link(f"/browse/{agent}/{child.path}")
            nodes.append(TreeNode(child.name, link, depth, open=is_open, current=path == child.path))
            if is_open:
                grow(child.path, depth + 1)

    grow("", 1)
    return nodes


def _children(visit: Visit, agent: str, folder: str, path: str) -> list[FolderRecord]:
    """The first folders in ``folder``, and the one on the way to ``path`` even where it comes later."""
    found = list(visit.sight.folder(agent, folder, limit=TREE_NODES_PER_LEVEL)[1].folders)
    rest = path.removeprefix(folder).lstrip("/") if folder else path
    on_way = f"{folder}/{rest.partition('/')[0]}" if folder else rest.partition("/")[0]
    inside = bool(rest) and (not folder or path.startswith(folder + "/"))
    if inside and all(child.path != on_way for child in found):
        found.append(visit.sight.folder(agent, on_way, limit=1)[0])
    return found
