"""The page of the API for people: made from the description, without scripts and without other hosts."""

import json
from html import escape
from typing import Any

STYLE = """:root{color-scheme:light dark;--line:#8884;--soft:#8881}
body{font:15px/1.55 system-ui,"PingFang SC","Microsoft YaHei","Noto Sans SC",sans-serif;max-width:60rem;
margin:0 auto;padding:2rem 1rem 6rem}
nav{columns:2;margin:1.5rem 0}nav a{display:block}a{color:inherit}
h2{margin-top:3rem;border-bottom:1px solid var(--line)}
section{margin:1.5rem 0;padding:1rem;border:1px solid var(--line);border-radius:8px}
h3{margin:0;font:600 15px ui-monospace,monospace;overflow-wrap:anywhere}
h3 b{display:inline-block;min-width:4rem}code,pre{font:13px/1.5 ui-monospace,monospace}
pre{background:var(--soft);padding:.75rem;border-radius:6px;overflow:auto}
table{border-collapse:collapse;width:100%}td{padding:.25rem .75rem .25rem 0;vertical-align:top;
border-top:1px solid var(--line)}summary{cursor:pointer}
"""

Schema = dict[str, Any]


def render(spec: Schema) -> str:
    """Return the page, in HTML."""
    groups: dict[str, list[str]] = {}
    links: list[str] = []
    for path, item in spec["paths"].items():
        for method, operation in item.items():
            anchor = operation["operationId"]
            group = operation.get("tags", ["Other"])[0]
            groups.setdefault(group, []).append(_operation(path, method, operation))
            links.append(f'<a href="#{anchor}">{escape(operation["summary"])}</a>')
    body = "".join(f"<h2>{escape(name)}</h2>{''.join(items)}" for name, items in groups.items())
    types = "".join(_type(name, schema) for name, schema in spec["components"]["schemas"].items())
    title = f"{spec['info']['title']} {spec['info']['version']}"
    return (
        '<!doctype html><html lang="en"><head><meta charset="utf-8">'
        '<meta name="viewport" content="width=device-width,initial-scale=1">'
        f'<title>{escape(title)}: API</title><link rel="stylesheet" href="/api/docs.css"></head><body>'
        f"<h1>{escape(title)}: API</h1><p>{_INTRODUCTION}</p><nav>{''.join(links)}</nav>"
        f"{body}<h2>Types</h2>{types}</body></html>"
    )


_INTRODUCTION = (
    'The description for machines is <a href="/api/openapi.json">openapi.json</a>. Ids are digits, '
    "times are milliseconds since 1970 UTC. Calls carry <code>Authorization: Bearer &lt;token&gt;</code>. "
    "Errors are problem documents (RFC 9457) with a <code>code</code>."
)


def _operation(path: str, method: str, operation: Schema) -> str:
    parts = [
        f'<section id="{escape(operation["operationId"])}">',
        f"<h3><b>{method.upper()}</b> {escape(path)}</h3>",
        f"<p>{escape(operation.get('description', ''))}</p>",
        _parameters(operation.get("parameters", [])),
    ]
    if "requestBody" in operation:
        parts.append(f"<p>Body: {_content(operation['requestBody'])}</p>")
    parts.append(_answers(operation["responses"]))
    return "".join(parts) + "</section>"


def _parameters(parameters: list[Schema]) -> str:
    rows = [
        f"<tr><td><code>{escape(each['name'])}</code></td><td>{each['in']}</td>"
        f"<td>{escape(each.get('description') or each['schema'].get('description', ''))}</td></tr>"
        for each in parameters
    ]
    return f"<table>{''.join(rows)}</table>" if rows else ""


def _answers(answers: Schema) -> str:
    rows = [
        f"<tr><td>{status}</td><td>{escape(answer['description'])}</td><td>{_content(answer)}</td></tr>"
        for status, answer in sorted(answers.items())
    ]
    return f"<details><summary>Answers</summary><table>{''.join(rows)}</table></details>"


def _content(holder: Schema) -> str:
    names = [
        each["schema"]["$ref"].rpartition("/")[2]
        for each in holder.get("content", {}).values()
        if "$ref" in each.get("schema", {})
    ]
    return ", ".join(f'<a href="#type-{name}">{name}</a>' for name in dict.fromkeys(names))


def _type(name: str, schema: Schema) -> str:
    text = json.dumps(schema, indent=2, ensure_ascii=False)
    return (
        f'<section id="type-{escape(name)}"><h3>{escape(name)}</h3>'
        f"<p>{escape(schema.get('description', ''))}</p><pre>{escape(text)}</pre></section>"
    )
