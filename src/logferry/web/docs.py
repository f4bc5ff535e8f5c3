"""``/api``: the API on one page, drawn from our own OpenAPI document. No script, nothing from elsewhere."""

from __future__ import annotations

from collections.abc import Iterator
from html import escape
from typing import Any

from fastapi import FastAPI
from starlette.requests import Request
from starlette.responses import HTMLResponse

_METHODS = ("get", "post", "patch", "put", "delete")
_HEAD = """<!doctype html><html lang="en"><head><meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1"><meta name="color-scheme" content="light dark">
<title>Logferry API</title><link rel="stylesheet" href="{root}/static/api/api.css"></head><body><main>"""


def docs_page(request: Request) -> HTMLResponse:
    """The page itself."""
    app: FastAPI = request.app
    return HTMLResponse("".join(_page(app.openapi(), request.scope.get("root_path", ""))))


def _page(schema: dict[str, Any], root: str) -> Iterator[str]:
    yield _HEAD.format(root=escape(root))
    yield f"<h1>{escape(schema['info']['title'])} {escape(schema['info']['version'])}</h1>"
    yield f"<p>{escape(schema['info'].get('description', ''))}</p>"
    yield f'<p><a href="{escape(root)}/api/v1/openapi.json">OpenAPI {escape(schema["openapi"])}</a></p>'
    for path, methods in schema["paths"].items():
        for method in _METHODS:
            if method in methods:
                yield from _operation(method, path, methods[method])
    yield "<h2>Shapes</h2>"
    for name, shape in sorted(schema.get("components", {}).get("schemas", {}).items()):
        yield from _shape(name, shape)
    yield "</main></body></html>"


def _operation(method: str, path: str, what: dict[str, Any]) -> Iterator[str]:
    yield f"<section><h2><code>{method.upper()} {escape(path)}</code></h2>"
    yield f"<p>{escape(what.get('description', ''))}</p>"
    parameters = what.get("parameters", [])
    if parameters:
        yield "<table><thead><tr><th>parameter</th><th>in</th><th>type</th><th>meaning</th></tr></thead><tbody>"
        for parameter in parameters:
            name = escape(parameter["name"]) + (" (needed)" if parameter.get("required") else "")
            meaning = escape(parameter.get("description", ""))
            cells = (f"<code>{name}</code>", escape(parameter["in"]), _type(parameter.get("schema", {})), meaning)
            yield f"<tr>{''.join(f'<td>{cell}</td>' for cell in cells)}</tr>"
        yield "</tbody></table>"
    body = what.get("requestBody", {}).get("content", {}).get("application/json", {}).get("schema")
    if body:
        yield f"<p>Body: {_type(body)}</p>"
    for status, answer in what.get("responses", {}).items():
        kinds = ", ".join(
            f"{escape(kind)} {_type(c.get('schema', {}))}" for kind, c in answer.get("content", {}).items()
        )
        yield f"<p>{escape(status)}: {escape(answer.get('description', ''))} {kinds}</p>"
    yield "</section>"


def _shape(name: str, shape: dict[str, Any]) -> Iterator[str]:
    yield f'<section id="{escape(name)}"><h3>{escape(name)}</h3><p>{escape(shape.get("description", ""))}</p><dl>'
    for key, value in shape.get("properties", {}).items():
        yield f"<dt><code>{escape(key)}</code></dt><dd>{_type(value)} {escape(value.get('description', ''))}</dd>"
    yield "</dl></section>"


def _type(schema: dict[str, Any]) -> str:
    """A schema in a few words, with links to the shapes of this page."""
    if "$ref" in schema:
        name = escape(schema["$ref"].rpartition("/")[2])
        return f'<a href="#{name}">{name}</a>'
    if "anyOf" in schema:
        return " or ".join(_type(part) for part in schema["anyOf"])
    if schema.get("type") == "array":
        return f"list of {_type(schema.get('items', {}))}"
    if "enum" in schema:
        return " or ".join(f"<code>{escape(str(value))}</code>" for value in schema["enum"])
    bounds = [f"{word} {schema[key]}" for key, word in _BOUNDS if key in schema]
    return escape(" ".join([str(schema.get("type", "")), *bounds]).strip())


_BOUNDS = (("minimum", "from"), ("maximum", "to"), ("default", "default"))
