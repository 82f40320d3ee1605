"""Alerts and dashboard name metrics that exist; promtool sees each alert fire and stay silent."""

import json
import re
import subprocess
from pathlib import Path
from typing import Any

import pytest
import yaml

from scripts import dashboard
from tests.support.debian import program
from unique_cs.telemetry import Metrics, metrics

ROOT = Path(__file__).resolve().parents[2]
PROMETHEUS = ROOT / "deploy" / "prometheus"
DASHBOARDS = sorted((ROOT / "deploy" / "grafana" / "dashboards").glob("*.json"))
SUFFIXES = {"counter": ("_total",), "gauge": ("",), "histogram": ("_bucket", "_count", "_sum")}
SAMPLES = {family.name + suffix for family in metrics.registry.collect() for suffix in SUFFIXES[family.type]}
CHINESE = re.compile(r"[\u4e00-\u9fff]")


def rules() -> list[dict[str, Any]]:
    document = yaml.safe_load((PROMETHEUS / "alerts.yml").read_text())
    return [rule for group in document["groups"] for rule in group["rules"]]


def named(expression: str) -> set[str]:
    """Give our metrics that an expression names."""
    return set(re.findall(r"\bunique_cs_\w+", expression))


@pytest.mark.parametrize("rule", rules(), ids=lambda rule: str(rule["alert"]))
def test_an_alert_says_in_both_languages_what_is_wrong_and_what_to_do(rule: dict[str, Any]) -> None:
    assert named(rule["expr"]) <= SAMPLES
    assert rule["labels"]["severity"] in {"warning", "critical"}
    texts = rule["annotations"]
    assert sorted(texts) == ["action", "action_zh", "summary", "summary_zh"]
    assert [name for name, text in texts.items() if CHINESE.search(text)] == ["summary_zh", "action_zh"]


def test_what_an_alert_counts_is_there_before_it_happens() -> None:
    """Else the first of its kind is no increase."""
    fresh = {
        (sample.name, *sample.labels.values())
        for family in Metrics().registry.collect()
        for sample in family.samples
    }
    selectors = [
        (name, value)
        for rule in rules()
        for name, values in re.findall(r'(unique_cs_\w+)\{\w+=~?"([\w|]+)"\}', rule["expr"])
        for value in values.split("|")
    ]
    assert ("unique_cs_closed_total", "4500") in selectors
    assert set(selectors) <= fresh


def test_every_alert_has_a_case() -> None:
    cases = (PROMETHEUS / "alerts_test.yml").read_text()
    patterns = re.findall(r'alertname(?:=~|=|: )"?([\w.|()*]+)', cases)
    unseen = [rule["alert"] for rule in rules() if not any(re.fullmatch(p, rule["alert"]) for p in patterns)]
    assert unseen == []


def test_promtool_sees_the_alerts_fire_and_stay_silent() -> None:
    promtool = program("promtool", "prometheus")
    for arguments in (("check", "rules", "alerts.yml"), ("test", "rules", "alerts_test.yml")):
        done = subprocess.run(
            [promtool, *arguments], cwd=PROMETHEUS, capture_output=True, text=True, check=False, timeout=120
        )
        assert done.returncode == 0, done.stdout + done.stderr


@pytest.mark.parametrize("path", DASHBOARDS, ids=lambda path: str(path.name))
def test_a_dashboard_draws_metrics_that_exist(path: Path) -> None:
    drawn = json.loads(path.read_text())
    panels = [panel for panel in drawn["panels"] if panel["type"] != "row"]
    expressions = [target["expr"] for panel in panels for target in panel["targets"]]
    assert len(panels) > 10
    assert set().union(*map(named, expressions)) <= SAMPLES
    assert all(panel["title"] and panel["datasource"]["uid"] == "prometheus" for panel in panels)
    assert len({panel["id"] for panel in drawn["panels"]}) == len(drawn["panels"])


def test_dashboard_panels_do_not_overlap() -> None:
    for path in DASHBOARDS:
        cells: set[tuple[int, int]] = set()
        for panel in json.loads(path.read_text())["panels"]:
            at = panel["gridPos"]
            taken = {(at["x"] + x, at["y"] + y) for x in range(at["w"]) for y in range(at["h"])}
            assert not cells & taken, (path.name, panel["title"])
            assert all(x < 24 for x, _ in taken)
            cells |= taken


def test_promtool_accepts_every_expression_of_the_dashboards(tmp_path: Path) -> None:
    """Written as recording rules, since that is what promtool checks."""
    promtool = program("promtool", "prometheus")
    expressions = {
        target["expr"].replace("$__rate_interval", "5m").replace("$instance", ".*")
        for path in DASHBOARDS
        for panel in json.loads(path.read_text())["panels"]
        for target in panel.get("targets", [])
    }
    recorded = [{"record": f"panel:{n}", "expr": text} for n, text in enumerate(sorted(expressions))]
    file = tmp_path / "panels.yml"
    file.write_text(yaml.safe_dump({"groups": [{"name": "panels", "rules": recorded}]}))
    done = subprocess.run(
        [promtool, "check", "rules", str(file)], capture_output=True, text=True, check=False, timeout=60
    )
    assert done.returncode == 0, done.stdout + done.stderr


def test_the_dashboard_is_what_its_script_writes() -> None:
    assert [path.read_text() for path in DASHBOARDS] == [dashboard.text()]


def test_promtool_accepts_the_configuration() -> None:
    promtool = program("promtool", "prometheus")
    command = [promtool, "check", "config", "--syntax-only", str(PROMETHEUS / "prometheus.yml")]
    done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=60)
    assert done.returncode == 0, done.stdout + done.stderr
