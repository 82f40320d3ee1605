"""The description of the API is valid, complete, and true: schemathesis calls what it says."""

import re
from collections.abc import Iterator
from typing import Any

import jsonschema_rs
import pytest

from tests.unit.api.harness import Harness
from unique_cs.domain.body import TypedBody
from unique_cs.errors import Code

METHODS = ("get", "post", "patch", "delete")


@pytest.fixture
async def spec(harness: Harness) -> Any:
    return await harness.anyone.ok("GET", "/api/openapi.json")


def operations(spec: Any) -> Iterator[tuple[str, str, Any]]:
    for path, item in spec["paths"].items():
        for method in METHODS:
            if method in item:
                yield path, method, item[method]


def references(value: Any) -> Iterator[str]:
    if isinstance(value, dict):
        if isinstance(value.get("$ref"), str):
            yield value["$ref"]
        for each in value.values():
            yield from references(each)
    elif isinstance(value, list):
        for each in value:
            yield from references(each)


def test_the_version_and_every_reference(spec: Any) -> None:
    assert spec["openapi"].startswith("3.1.")
    known = {f"#/components/schemas/{name}" for name in spec["components"]["schemas"]}
    assert set(references(spec)) <= known


def test_every_schema_is_one(spec: Any) -> None:
    draft = "https://json-schema.org/draft/2020-12/schema"
    for name, schema in spec["components"]["schemas"].items():
        assert jsonschema_rs.meta.is_valid({"$schema": draft, **schema}), name


def test_every_call_of_the_protocol_page_is_there(spec: Any) -> None:
    found = {f"{method.upper()} {path}" for path, method, _ in operations(spec)}
    assert found >= {
        "POST /api/v1/contacts/session",
        "POST /api/v1/auth/login",
        "GET /api/v1/conversations",
        "GET /api/v1/conversations/{conversation_id}",
        "GET /api/v1/conversations/{conversation_id}/events",
        "POST /api/v1/conversations/{conversation_id}/messages",
        "POST /api/v1/conversations/{conversation_id}/assign",
        "POST /api/v1/conversations/{conversation_id}/status",
        "POST /api/v1/conversations/{conversation_id}/labels",
        "GET /healthz",
        "GET /readyz",
        "GET /metrics",
    }


def test_every_operation_says_who_may_call_it_and_how_it_fails(spec: Any) -> None:
    assert spec["components"]["securitySchemes"]["token"]["scheme"] == "bearer"
    names = [operation["operationId"] for _, _, operation in operations(spec)]
    assert len(names) == len(set(names))
    for path, method, operation in operations(spec):
        assert operation["summary"], path
        assert operation["description"], path
        answers = operation["responses"]
        for status, answer in answers.items():
            if status[0] in "45" and path != "/readyz":
                assert list(answer["content"]) == ["application/problem+json"], (path, method, status)
        if {} not in operation["security"]:
            assert {"401", "403"} <= set(answers)


def test_kinds_of_bodies_are_told_apart(spec: Any) -> None:
    body = spec["components"]["schemas"]["MessageRequest"]["properties"]["body"]
    assert body["discriminator"]["propertyName"] == "kind"
    assert len(body["anyOf"]) == len(body["discriminator"]["mapping"]) == len(TypedBody.__args__)


def test_problems_name_every_code(spec: Any) -> None:
    schemas = spec["components"]["schemas"]
    code = schemas["Problem"]["properties"]["code"]
    named = schemas[code["$ref"].rpartition("/")[2]] if "$ref" in code else code
    assert set(named["enum"]) == {str(each) for each in Code}


async def test_the_page_shows_every_operation_without_scripts_and_other_hosts(
    harness: Harness, spec: Any
) -> None:
    answer = await harness.anyone.get("/api/docs")
    for _, _, operation in operations(spec):
        assert f'id="{operation["operationId"]}"' in answer.text
    assert "<script" not in answer.text
    assert not re.search(r'(?:src|href)="(?:https?:)?//', answer.text)
    assert "style=" not in answer.text
    assert "script-src" not in answer.headers["content-security-policy"]
    assert (await harness.anyone.get("/api/docs.css")).headers["content-type"].startswith("text/css")
