"""The Helm chart, rendered by Helm itself and held against Kubernetes' own schemas, without a cluster."""

import json
import re
import tomllib
from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.support.tools import ask
from unique_cs.config import PREFIX, Settings, read_settings
from unique_cs.telemetry import metrics

ROOT = Path(__file__).resolve().parents[2]
CHART = ROOT / "deploy" / "helm" / "unique-cs"
RENDER = """
import json, sys
import helm_python as helm, kubernetes_validate as kubernetes, yaml

def faults(document, version):
    try:
        kubernetes.validate(document, version, strict=True)
    except kubernetes.SchemaNotFoundError:
        return [] if "monitoring.coreos.com" in document["apiVersion"] else ["no schema"]
    except kubernetes.ValidationError as error:
        return [f"{document['kind']} {version}: {error.message}"]
    return []

def render(chart, values):
    try:
        files = chart.render(values, name="demo", namespace="support")
    except helm.HelmError as error:
        return {"error": str(error)}
    notes = files.pop("unique-cs/templates/NOTES.txt")
    documents = [each for text in files.values() for each in yaml.safe_load_all(text) if each]
    versions = question["versions"]
    wrong = [fault for each in documents for version in versions for fault in faults(each, version)]
    return {"error": "", "documents": documents, "faults": wrong, "notes": notes}

question = json.load(sys.stdin)
with helm.Chart.load(question["chart"]) as chart:
    rendered = [render(chart, values) for values in question["cases"]]
wrong = [fault for each in question["documents"] for fault in faults(each, question["versions"][0])]
lint = helm.lint(question["chart"], {"secret": {"existing": "s"}})
json.dump({"rendered": rendered, "faults": wrong, "lint": lint}, sys.stdout)
"""
VERSIONS = ["1.29", "1.37"]
STORES = {"redisUrl": "redis://:pw@redis:6379/0", "databaseUrl": "mysql://u:pw@mysql:3306/unique_cs"}
MANY = {"secret": {"existing": "chat-secrets"}}
ALONE = {"replicas": 1}
EVERYTHING = {
    "secret": {
        **STORES,
        "metricsToken": "scrape",
        "mqttBridgeUrl": "mqtt://u:pw@broker",
        "webhookUrl": "https://hook.example.com/",
        "webhookSecret": "whsec_MfKQ9r8GKYqrTwjU",
        "ownerEmail": "o@example.com",
        "ownerPassword": "correct",
    },
    "settings": {"PUBLIC_URL": "https://chat.example.com", "MAX_QUEUE": 1_048_576, "RATE_LIMITS": "on"},
    "imagePullSecrets": [{"name": "pull"}],
    "autoscaling": {"enabled": True},
    "mqtt": {"enabled": True},
    "grpc": {"enabled": True},
    "service": {"type": "LoadBalancer", "annotations": {"a": "b"}},
    "ingress": {
        "enabled": True,
        "className": "nginx",
        "host": "chat.example.com",
        "tlsSecret": "chat-tls",
        "annotations": {"nginx.ingress.kubernetes.io/proxy-read-timeout": "300"},
    },
    "networkPolicy": {
        "clients": [{"namespaceSelector": {"matchLabels": {"kubernetes.io/metadata.name": "ingress"}}}],
        "egress": [{"ports": [{"protocol": "TCP", "port": 443}]}],
    },
    "monitoring": {"serviceMonitor": True, "rules": True, "dashboard": True, "labels": {"release": "prom"}},
    "volume": {"storageClass": "ssd", "whenScaled": "Delete"},
    "nodeSelector": {"disk": "ssd"},
    "tolerations": [{"key": "chat", "operator": "Exists", "effect": "NoSchedule"}],
    "podAnnotations": {"x": "y"},
    "priorityClassName": "high",
}
CASES: dict[str, dict[str, Any]] = {"many": MANY, "alone": ALONE, "everything": EVERYTHING}
Document = dict[str, Any]


class Rendered:
    """The documents of one case."""

    def __init__(self, answer: dict[str, Any]) -> None:
        self.faults: list[str] = answer["faults"]
        self.documents: list[Document] = answer["documents"]
        self.notes: str = answer["notes"]

    def all(self, kind: str) -> list[Document]:
        return [each for each in self.documents if each["kind"] == kind]

    def one(self, kind: str) -> Document:
        (found,) = self.all(kind)
        return found

    @property
    def pod(self) -> Document:
        pod: Document = self.one("StatefulSet")["spec"]["template"]
        return pod

    @property
    def container(self) -> Document:
        (container,) = self.pod["spec"]["containers"]
        made: Document = container
        return made


def question(*cases: dict[str, Any], documents: list[Document] | None = None) -> Any:
    asked = {"chart": str(CHART), "cases": cases, "versions": VERSIONS, "documents": documents or []}
    return ask(RENDER, asked)


@pytest.fixture(scope="module")
def rendered() -> dict[str, Rendered]:
    """Every case, rendered at once."""
    answers = question(*CASES.values())["rendered"]
    assert [answer["error"] for answer in answers] == [""] * len(CASES)
    return {name: Rendered(answer) for name, answer in zip(CASES, answers, strict=True)}


@pytest.fixture(params=CASES)
def case(request: pytest.FixtureRequest, rendered: dict[str, Rendered]) -> Rendered:
    """Each case in turn."""
    return rendered[str(request.param)]


def test_kubernetes_takes_every_document(case: Rendered) -> None:
    assert case.faults == []
    assert len(case.documents) >= 5


def test_a_typo_in_a_document_would_be_seen(rendered: dict[str, Rendered]) -> None:
    """So that the test above can fail."""
    wrong = json.loads(json.dumps(rendered["many"].one("StatefulSet")))
    wrong["spec"]["template"]["spec"]["containers"][0]["readynessProbe"] = {}
    (fault,) = question(documents=[wrong])["faults"]
    assert "readynessProbe" in fault


def test_helm_finds_nothing_to_complain_about() -> None:
    lint = question()["lint"]
    assert [each for each in lint["messages"] if "icon" not in each["error"]] == []
    assert lint["errors"] == []


@pytest.mark.parametrize(
    ("values", "where"),
    [
        ({"replica": 2}, "replica"),
        ({"replicas": 0}, "/replicas"),
        ({"replicas": "two"}, "/replicas"),
        ({"image": {"tag": "latest"}}, "/image/tag"),
        ({"image": {"pullPolicy": "Sometimes"}}, "/image/pullPolicy"),
        ({"settings": {"UNIQUE_CS_ECHO": "on"}}, "UNIQUE_CS_ECHO"),
        ({"settings": {"echo": "on"}}, "'echo'"),
        ({"settings": {"REDIS_URL": "redis://redis"}}, "REDIS_URL"),
        ({"settings": {"PUBLIC_URL": ["a"]}}, "/settings/PUBLIC_URL"),
        ({"secret": {"databaseUrl": "postgres://db"}}, "/secret/databaseUrl"),
        ({"volume": {"size": "20"}}, "/volume/size"),
        ({"volume": {"whenScaled": "Forget"}}, "/volume/whenScaled"),
        ({"resources": {"limits": {"memory": "much"}}}, "/resources/limits/memory"),
        ({"autoscaling": {"min": 1}}, "/autoscaling/min"),
        ({"disruption": {"maxUnavailable": 0}}, "/disruption/maxUnavailable"),
        ({"ingress": {"host": "https://chat"}}, "/ingress/host"),
        ({"networkPolicy": {"stores": [0]}}, "/networkPolicy/stores/0"),
    ],
    ids=str,
)
def test_the_schema_refuses_a_wrong_value(values: dict[str, Any], where: str) -> None:
    (answer,) = question(MANY | values)["rendered"]
    assert "schema" in answer["error"]
    assert where in answer["error"]


@pytest.mark.parametrize(
    ("values", "text"),
    [
        ({}, "more than one node needs"),
        ({"replicas": 1, "autoscaling": {"enabled": True}}, "more than one node needs"),
        ({"replicas": 1, "secret": {"redisUrl": STORES["redisUrl"]}}, "go together"),
        ({"replicas": 1, "monitoring": {"serviceMonitor": True}}, "needs secret.metricsToken"),
        ({**MANY, "ingress": {"enabled": True}}, "needs ingress.host"),
        ({**MANY, "autoscaling": {"enabled": True, "min": 5, "max": 4}}, "below autoscaling.min"),
    ],
    ids=str,
)
def test_values_that_do_not_go_together_are_refused(values: dict[str, Any], text: str) -> None:
    (answer,) = question(values)["rendered"]
    assert text in answer["error"]


def test_every_value_is_in_the_schema_and_the_other_way_round() -> None:
    values = yaml.safe_load((CHART / "values.yaml").read_text())
    schema = json.loads((CHART / "values.schema.json").read_text())["properties"]
    assert set(values) == set(schema) - {"global"}
    for name, value in values.items():
        if isinstance(value, dict) and "properties" in schema[name]:
            assert set(value) == set(schema[name]["properties"]), name


def test_the_chart_is_of_the_programs_version() -> None:
    chart = yaml.safe_load((CHART / "Chart.yaml").read_text())
    version = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["version"]
    assert chart["appVersion"] == version


def test_the_program_takes_the_settings(case: Rendered) -> None:
    given = {each["name"]: each.get("value") for each in case.container["env"]}
    assert given.pop("POD_IP", "missing") is None
    assert {name.removeprefix(PREFIX).lower() for name in given} <= set(Settings.__struct_fields__)
    read_settings({name: value for name, value in given.items() if value is not None})
    # Else Kubernetes sets UNIQUE_CS_PORT for a Service of that name, and the program refuses to start.
    assert case.pod["spec"]["enableServiceLinks"] is False


def test_every_secret_value_has_its_setting(rendered: dict[str, Rendered]) -> None:
    everything, many = rendered["everything"], rendered["many"]
    references = {
        each["name"]: each["valueFrom"]["secretKeyRef"]
        for each in everything.container["env"]
        if "secretKeyRef" in each.get("valueFrom", {})
    }
    secret = everything.one("Secret")
    assert {each["key"] for each in references.values()} == set(secret["stringData"])
    assert {each["name"] for each in references.values()} == {secret["metadata"]["name"]}
    assert references["UNIQUE_CS_REDIS_URL"]["key"] == "redis-url"
    assert many.all("Secret") == []
    assert "chat-secrets" in json.dumps(many.container["env"])


@pytest.mark.parametrize(("name", "optional"), [("many", False), ("everything", False), ("alone", True)])
def test_many_nodes_do_not_start_without_their_stores(
    rendered: dict[str, Rendered], name: str, optional: bool
) -> None:
    """Each would be a chat of its own."""
    references = [each.get("valueFrom", {}).get("secretKeyRef") for each in rendered[name].container["env"]]
    found = {each["key"]: each["optional"] for each in references if each}
    assert found["redis-url"] is found["database-url"] is optional
    assert found["owner-password"] is True


def test_a_large_number_stays_one(rendered: dict[str, Rendered]) -> None:
    """Helm reads numbers as floats, and would write 1.048576e+06."""
    settings = {each["name"]: each.get("value") for each in rendered["everything"].container["env"]}
    assert settings["UNIQUE_CS_MAX_QUEUE"] == "1048576"


def test_a_pod_has_time_to_drain(case: Rendered) -> None:
    settings = {each["name"]: each.get("value") for each in case.container["env"]}
    delay = int(case.container["lifecycle"]["preStop"]["exec"]["command"][1])
    drain = int(settings["UNIQUE_CS_DRAIN_MS"]) / 1000
    assert case.pod["spec"]["terminationGracePeriodSeconds"] >= delay + 2 * drain + 10


def test_a_pod_is_restricted(case: Rendered) -> None:
    """The clauses of Kubernetes' restricted pod security standard."""
    pod, container = case.pod["spec"], case.container["securityContext"]
    assert pod["securityContext"]["runAsNonRoot"] is True
    assert pod["securityContext"]["seccompProfile"] == {"type": "RuntimeDefault"}
    assert container["allowPrivilegeEscalation"] is False
    assert container["capabilities"] == {"drop": ["ALL"]}
    assert container["readOnlyRootFilesystem"] is True
    assert pod["automountServiceAccountToken"] is False
    assert "volumes" not in pod


def test_the_pod_is_the_images(case: Rendered) -> None:
    dockerfile = (ROOT / "Dockerfile").read_text()
    security = case.pod["spec"]["securityContext"]
    assert f"USER {security['runAsUser']}:{security['runAsGroup']}" in dockerfile
    assert security["fsGroup"] == security["runAsGroup"]
    (mount,) = case.container["volumeMounts"]
    assert f"VOLUME {mount['mountPath']}" in dockerfile
    opened = set(re.findall(r"\d+", re.findall(r"^EXPOSE (.*)$", dockerfile, re.MULTILINE)[0]))
    assert {str(port["containerPort"]) for port in case.container["ports"]} <= opened


def test_everything_selects_the_pods(case: Rendered) -> None:
    labels = case.pod["metadata"]["labels"].items()
    selectors = [each["spec"]["selector"] for each in case.all("Service")]
    selectors += [case.one("StatefulSet")["spec"]["selector"]["matchLabels"]]
    selectors += [case.one("PodDisruptionBudget")["spec"]["selector"]["matchLabels"]]
    selectors += [case.one("NetworkPolicy")["spec"]["podSelector"]["matchLabels"]]
    selectors += [
        each["labelSelector"]["matchLabels"] for each in case.pod["spec"]["topologySpreadConstraints"]
    ]
    assert len(selectors) == 7
    assert all(selector and selector.items() <= labels for selector in selectors)


def test_ports_lead_to_the_container(case: Rendered) -> None:
    named = {port["name"] for port in case.container["ports"]}
    services = {each["metadata"]["name"]: each["spec"] for each in case.all("Service")}
    assert {port["targetPort"] for port in services["demo-unique-cs"]["ports"]} == named
    assert services["demo-unique-cs-nodes"]["clusterIP"] == "None"
    assert case.one("StatefulSet")["spec"]["serviceName"] in services
    assert {port["port"] for port in case.one("NetworkPolicy")["spec"]["ingress"][0]["ports"]} == named
    probes = [case.container[f"{kind}Probe"]["httpGet"] for kind in ("startup", "liveness", "readiness")]
    assert [probe["path"] for probe in probes] == ["/healthz", "/healthz", "/readyz"]
    assert {probe["port"] for probe in probes} <= named


def test_autoscaling_follows_the_connections(rendered: dict[str, Rendered]) -> None:
    everything = rendered["everything"]
    scaler = everything.one("HorizontalPodAutoscaler")["spec"]
    assert "replicas" not in everything.one("StatefulSet")["spec"]
    assert scaler["scaleTargetRef"]["name"] == everything.one("StatefulSet")["metadata"]["name"]
    assert scaler["metrics"][0]["pods"]["metric"]["name"] in {
        each.name for each in metrics.registry.collect()
    }
    assert rendered["many"].one("StatefulSet")["spec"]["replicas"] == 3
    assert rendered["many"].all("HorizontalPodAutoscaler") == []


def test_prometheus_and_grafana_get_what_lies_in_deploy(rendered: dict[str, Rendered]) -> None:
    everything = rendered["everything"]
    alerts = yaml.safe_load((ROOT / "deploy" / "prometheus" / "alerts.yml").read_text())
    assert everything.one("PrometheusRule")["spec"] == alerts
    dashboard = json.loads(everything.one("ConfigMap")["data"]["unique-cs.json"])
    assert dashboard["uid"] == "unique-cs"
    monitor = everything.one("ServiceMonitor")["spec"]
    chosen = [
        each
        for each in everything.all("Service")
        if monitor["selector"]["matchLabels"].items() <= each["metadata"]["labels"].items()
    ]
    assert [each["metadata"]["name"] for each in chosen] == ["demo-unique-cs-nodes"]
    assert chosen[0]["metadata"]["labels"][monitor["jobLabel"]] == "unique-cs"
    key = monitor["endpoints"][0]["authorization"]["credentials"]["key"]
    assert key in everything.one("Secret")["stringData"]


def test_the_ingress_lets_long_responses_through(rendered: dict[str, Rendered]) -> None:
    ingress = rendered["everything"].one("Ingress")
    annotations = ingress["metadata"]["annotations"]
    assert annotations["nginx.ingress.kubernetes.io/proxy-buffering"] == "off"
    assert annotations["nginx.ingress.kubernetes.io/proxy-read-timeout"] == "300"
    assert ingress["spec"]["tls"] == [{"hosts": ["chat.example.com"], "secretName": "chat-tls"}]
    assert "https://chat.example.com/console/" in rendered["everything"].notes


@pytest.mark.parametrize("page", ["operations/kubernetes.md", "zh-CN/operations/kubernetes.md"])
def test_the_values_of_the_guide_are_taken(page: str) -> None:
    examples = re.findall(
        r"^```yaml\n(# values.yaml\n.*?)^```", (ROOT / "docs" / page).read_text(), re.MULTILINE | re.DOTALL
    )
    answers = question(*map(yaml.safe_load, examples))["rendered"]
    assert [(answer["error"], answer["faults"]) for answer in answers] == [("", [])]
