"""Write the Grafana dashboard from the list of panels below: `python -m scripts.dashboard`."""

from __future__ import annotations

import json
from typing import Any, NamedTuple

from scripts.shared import ROOT

FILE = ROOT / "deploy" / "grafana" / "dashboards" / "unique-cs.json"
SOURCE = {"type": "prometheus", "uid": "prometheus"}
HERE = 'instance=~"$instance"'
WIDTH = 24
BLUE, GREEN, AMBER, RED = "#5794f2", "#73bf69", "#ff9830", "#f2495c"


class Panel(NamedTuple):
    """One panel. `lines` maps a legend to an expression; `bounds` are where it turns amber and red."""

    title: str
    lines: dict[str, str]
    unit: str = "short"
    kind: str = "timeseries"
    bounds: tuple[float, float] | None = None
    width: int = 8
    stacked: bool = False
    about: str = ""


class Row(NamedTuple):
    """A heading and the panels below it, `height` units high."""

    title: str
    panels: list[Panel]
    height: int = 8


def gauge(name: str, by: str = "") -> str:
    """Give a gauge's expression: each node's, or the `by` of all."""
    return f"{by}(unique_cs_{name}{{{HERE}}})" if by else f"unique_cs_{name}{{{HERE}}}"


def per_second(name: str, labels: str = "", by: str = "") -> str:
    """Give the growth of a counter a second, summed."""
    group = f" by ({by})" if by else ""
    return f"sum{group} (rate(unique_cs_{name}{{{labels}{HERE}}}[$__rate_interval]))"


def quantiles(name: str) -> dict[str, str]:
    """Give the lines of a histogram's p50, p95 and p99 over all nodes."""
    buckets = per_second(f"{name}_bucket", by="le")
    return {f"p{int(q * 100)}": f"histogram_quantile({q}, {buckets})" for q in (0.5, 0.95, 0.99)}


def number(
    title: str, expression: str, unit: str = "short", bounds: tuple[float, float] | None = None
) -> Panel:
    """Make a panel that shows one number."""
    return Panel(title, {"": expression}, unit, "stat", bounds, width=3)


ROWS = [
    Row(
        "Now · 现在",
        [
            number("Nodes · 节点", f'sum(up{{job="unique-cs",{HERE}}})'),
            number("Connections · 连接", gauge("connections", "sum")),
            number("Agents online · 在线客服", gauge("agents", "sum")),
            number("Waiting · 等待会话", gauge("waiting_conversations", "max"), bounds=(10, 50)),
            number("Longest wait · 最长等待", gauge("oldest_wait_seconds", "max"), "s", (300, 900)),
            number("Messages/s in · 每秒收到", per_second("messages_total", 'type="inbound",'), "short"),
            number("Delivery p99 · 投递", quantiles("delivery_seconds")["p99"], "s", (0.1, 0.5)),
            number("Relay stopped · 归档停止", gauge("relay_stopped", "max"), bounds=(0.5, 1)),
        ],
        height=4,
    ),
    Row(
        "Messages · 消息",
        [
            Panel(
                "Messages a second · 每秒消息",
                {"{{type}}": per_second("messages_total", by="type")},
                about="Inbound: from clients. Outbound: to the other sides. 入站与出站消息。",
            ),
            Panel(
                "Send → sent · 发送确认耗时",
                quantiles("ack_seconds"),
                "s",
                about="The fsync is included. 含落盘时间。",
            ),
            Panel("Send → delivery · 投递耗时", quantiles("delivery_seconds"), "s"),
            Panel(
                "Refusals a second · 每秒拒绝",
                {"{{code}}": per_second("refused_total", by="code")},
                stacked=True,
                width=12,
            ),
            Panel(
                "Closed by the server · 服务端关闭连接",
                {"{{code}}": per_second("closed_total", by="code")},
                stacked=True,
                width=12,
            ),
        ],
    ),
    Row(
        "Waiting · 等待",
        [
            Panel(
                "Conversations that wait · 等待中的会话",
                {"waiting": gauge("waiting_conversations", "max")},
                bounds=(10, 50),
            ),
            Panel(
                "Longest wait · 最长等待时间",
                {"wait": gauge("oldest_wait_seconds", "max")},
                "s",
                bounds=(300, 900),
            ),
            Panel("Agents online · 在线客服", {"agents": gauge("agents", "sum")}),
            Panel(
                "Backlog alarms · 积压告警",
                {"{{name}}": f"max by (name) ({gauge('alarm')})"},
                width=6,
            ),
            Panel(
                "Undelivered to agents · 未送达客服",
                {"conversations": gauge("undelivered_conversations", "max")},
                bounds=(1, 10),
                width=6,
            ),
            Panel(
                "Webhook · 待推送",
                {"wait": gauge("webhook_waiting", "max"), "given up": gauge("webhook_parked", "max")},
                width=6,
            ),
            Panel(
                "Webhook, attempts a second · 每秒推送",
                {"{{outcome}}": per_second("webhook_attempts_total", by="outcome")},
                stacked=True,
                width=6,
            ),
        ],
    ),
    Row(
        "Connections · 连接",
        [
            Panel(
                "Connections by node · 各节点连接数",
                {"{{instance}}": gauge("connections")},
                stacked=True,
                width=6,
            ),
            Panel(
                "Used of the limit · 占上限的比例",
                {"{{instance}}": f"{gauge('connections')} / {gauge('connection_limit')}"},
                "percentunit",
                bounds=(0.8, 0.95),
                width=6,
            ),
            Panel(
                "Sessions with a connection · 在线会话",
                {"{{instance}}": gauge("sessions")},
                stacked=True,
                width=6,
            ),
            Panel("Bytes that wait · 待发字节", {"{{instance}}": gauge("queue_bytes")}, "bytes", width=6),
        ],
    ),
    Row(
        "Stores · 存储",
        [
            Panel("Flush of a group · 落盘耗时", quantiles("fsync_seconds"), "s", bounds=(0.02, 0.05)),
            Panel(
                "Entries of a group · 每组条数",
                {"mean": f"{per_second('fsync_batch_sum')} / {per_second('fsync_batch_count')}"},
            ),
            Panel(
                "Accepted, not yet durable · 已接受未落盘",
                {"{{instance}}": gauge("pending_messages")},
                stacked=True,
            ),
            Panel(
                "Relay lag, groups · 归档落后（组）",
                {"{{instance}}": gauge("relay_lag_groups")},
                about="Grows while the archive is away; chat goes on. 归档数据库不可用时增长，聊天不受影响。",
            ),
            Panel(
                "Archived a second · 每秒归档",
                {"{{instance}}": per_second("relayed_events_total", by="instance")},
            ),
            Panel("Free disk · 剩余磁盘", {"{{instance}}": gauge("disk_free_bytes")}, "bytes", width=12),
            Panel(
                "Relay lag, seconds · 归档落后（秒）",
                {"{{instance}}": gauge("relay_lag_seconds")},
                "s",
                bounds=(60, 300),
                width=12,
            ),
        ],
    ),
    Row(
        "Cluster · 集群",
        [
            Panel("Nodes that follow Redis · 跟随 Redis 的节点", {"nodes": gauge("redis_connected", "sum")}),
            Panel("Generation · 代", {"generation": gauge("generation", "max")}),
            Panel(
                "Items of a call to Redis · 每次 Redis 调用的条数",
                {"mean": f"{per_second('redis_batch_sum')} / {per_second('redis_batch_count')}"},
            ),
            Panel(
                "Memory of Redis · Redis 内存",
                {"used": gauge("redis_used_bytes", "max"), "limit": gauge("redis_limit_bytes", "max")},
                "bytes",
                width=24,
            ),
        ],
        height=6,
    ),
    Row(
        "Processes · 进程",
        [
            Panel(
                "Loop lag · 事件循环滞后",
                {"{{instance}}": gauge("loop_lag_seconds")},
                "s",
                bounds=(0.05, 0.1),
                width=12,
            ),
            Panel("Resident memory · 内存", {"{{instance}}": gauge("resident_bytes")}, "bytes", width=12),
        ],
    ),
]


def main() -> None:
    """Write the file."""
    FILE.write_text(text())


def text() -> str:
    """Give the dashboard as it lies in the repository."""
    return json.dumps(dashboard(), indent=1, ensure_ascii=False) + "\n"


def dashboard() -> dict[str, Any]:
    """Give the dashboard in Grafana's model."""
    return {
        "uid": "unique-cs",
        "title": "unique-cs · 在线客服",
        "tags": ["unique-cs"],
        "schemaVersion": 39,
        "version": 1,
        "editable": True,
        "refresh": "10s",
        "timezone": "browser",
        "graphTooltip": 1,
        "time": {"from": "now-1h", "to": "now"},
        "templating": {"list": [variable()]},
        "annotations": {"list": [alerts()]},
        "panels": laid_out(),
    }


def variable() -> dict[str, Any]:
    """Let the person choose nodes."""
    return {
        "name": "instance",
        "label": "Node · 节点",
        "type": "query",
        "datasource": SOURCE,
        "query": {"query": 'label_values(up{job="unique-cs"}, instance)', "refId": "instance"},
        "refresh": 2,
        "includeAll": True,
        "multi": True,
        "allValue": ".*",
        "current": {"text": "All", "value": "$__all"},
    }


def alerts() -> dict[str, Any]:
    """Mark in every panel when an alert fired."""
    return {
        "name": "Alerts · 告警",
        "datasource": SOURCE,
        "enable": True,
        "iconColor": RED,
        "expr": 'ALERTS{alertname=~"UniqueCs.*", alertstate="firing"}',
        "titleFormat": "{{alertname}}",
        "textFormat": "{{instance}}",
    }


def laid_out() -> list[dict[str, Any]]:
    """Put the panels below their headings, from left to right."""
    placed: list[dict[str, Any]] = []
    y = 0
    for row in ROWS:
        at = {"x": 0, "y": y, "w": WIDTH, "h": 1}
        placed.append(
            {"id": len(placed) + 1, "type": "row", "title": row.title, "collapsed": False, "gridPos": at}
        )
        y, x = y + 1, 0
        for panel in row.panels:
            if x + panel.width > WIDTH:
                x, y = 0, y + row.height
            at = {"x": x, "y": y, "w": panel.width, "h": row.height}
            placed.append({"id": len(placed) + 1, "gridPos": at, **drawn(panel)})
            x += panel.width
        y += row.height
    return placed


def drawn(panel: Panel) -> dict[str, Any]:
    """Give a panel without its place."""
    targets = [
        {
            "refId": chr(ord("A") + n),
            "datasource": SOURCE,
            "expr": expression,
            "legendFormat": legend or "__auto",
        }
        for n, (legend, expression) in enumerate(panel.lines.items())
    ]
    is_stat = panel.kind == "stat"
    return {
        "type": panel.kind,
        "title": panel.title,
        "description": panel.about,
        "datasource": SOURCE,
        "targets": targets,
        "fieldConfig": {"defaults": defaults(panel), "overrides": []},
        "options": stat_options() if is_stat else line_options(),
    }


def defaults(panel: Panel) -> dict[str, Any]:
    """Say how values are drawn."""
    steps: list[dict[str, Any]] = [{"color": GREEN if panel.bounds else BLUE, "value": None}]
    if panel.bounds:
        steps += [{"color": c, "value": v} for c, v in zip((AMBER, RED), panel.bounds, strict=True)]
    drawn: dict[str, Any] = {
        "unit": panel.unit,
        "min": 0,
        "thresholds": {"mode": "absolute", "steps": steps},
        "color": {"mode": "thresholds" if panel.kind == "stat" else "palette-classic"},
    }
    if panel.kind == "timeseries":
        drawn["custom"] = {
            "lineWidth": 2,
            "fillOpacity": 25 if panel.stacked else 10,
            "gradientMode": "opacity",
            "showPoints": "never",
            "stacking": {"mode": "normal" if panel.stacked else "none"},
            "thresholdsStyle": {"mode": "dashed" if panel.bounds else "off"},
        }
    return drawn


def stat_options() -> dict[str, Any]:
    """Draw one number with the way it took behind it."""
    return {"reduceOptions": {"calcs": ["lastNotNull"]}, "colorMode": "value", "graphMode": "area"}


def line_options() -> dict[str, Any]:
    """Draw lines; the highest is named first."""
    return {
        "legend": {"displayMode": "list", "placement": "bottom", "showLegend": True},
        "tooltip": {"mode": "multi", "sort": "desc"},
    }


if __name__ == "__main__":
    main()
