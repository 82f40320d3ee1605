"""What holds for every request: limits, headers, problem documents, health."""

import asyncio
from typing import Any

import httpx
import pytest

from tests.unit.api.harness import Caller, Harness, is_problem, opened
from unique_cs.domain.flow import own_buckets
from unique_cs.errors import HTTP_STATUS, Code, UniqueCsError


def from_elsewhere(harness: Harness, token: str = "", address: str = "192.0.2.7") -> Caller:
    return harness.caller(token, address)


async def test_unknown_paths_and_methods_are_problems(harness: Harness) -> None:
    assert is_problem(await harness.anyone.get("/api/v1/nothing"), 404, "not_found")
    answer = await harness.anyone.call("DELETE", "auth/login")
    assert is_problem(answer, 405, "invalid")
    assert answer.headers["allow"] == "OPTIONS, POST"
    assert (await harness.anyone.call("PUT", "/healthz")).headers["allow"] == "GET, HEAD, OPTIONS"


@pytest.mark.parametrize("content", [b"", b"{", b"\xff", b"a=b", b'{"email": "\\ud800"}', b"[" * 5_000])
async def test_a_body_that_is_no_json_is_a_bad_frame(harness: Harness, content: bytes) -> None:
    answer = await harness.anyone.call("POST", "auth/login", content=content)
    assert answer.status_code in (400, 422)
    assert is_problem(answer, answer.status_code, "bad_frame" if answer.status_code == 400 else "invalid")


async def test_a_fault_in_the_body_says_where_it_is(harness: Harness) -> None:
    answer = await harness.anyone.post("auth/login", {"email": 7, "password": "x"})
    assert is_problem(answer, 422, "invalid")
    assert "email" in answer.json()["detail"]


async def test_an_unexpected_error_shows_nothing_of_the_inside(harness: Harness, capsys: Any) -> None:
    class Broken(dict[str, Any]):
        def get(self, *_: Any) -> Any:
            raise RuntimeError("the inside")

    agent = await harness.agent()
    harness.records._agents = Broken()  # type: ignore[attr-defined]  # the twin in memory
    answer = await agent.get("me", params={"token": "in-the-query"})
    assert is_problem(answer, 500, "internal")
    for secret in ("inside", "Traceback", ".py"):
        assert secret not in answer.text
    logged = capsys.readouterr()
    assert "the inside" in logged.out + logged.err
    for secret in (agent.token, "in-the-query"):
        assert secret not in logged.out + logged.err


async def test_every_code_has_its_problem_document() -> None:
    codes = iter(Code)
    wanted = next(codes)

    async def fail(_: float) -> None:
        raise UniqueCsError(wanted, "why")

    async with opened(caught_up=fail) as harness:
        agent = await harness.agent()
        for wanted in Code:  # `fail` reads it
            answer = await agent.get("conversations")
            assert is_problem(answer, HTTP_STATUS[wanted], wanted)
            assert answer.json()["type"] == f"urn:unique-cs:error:{wanted}"


async def test_requests_are_limited_by_address() -> None:
    async with opened(requests=own_buckets("request", 5, 10)) as harness:
        here, there = from_elsewhere(harness), from_elsewhere(harness, address="192.0.2.8")
        answers = [await here.get("/healthz") for _ in range(11)]
        assert [answer.status_code for answer in answers] == [200] * 10 + [429]
        assert is_problem(answers[-1], 429, "rate_limited")
        assert answers[-1].headers["retry-after"] == "1"
        assert answers[-1].headers["x-content-type-options"] == "nosniff"
        assert (await there.get("/healthz")).status_code == 200
        harness.clock.ms += 1_000
        assert (await here.get("/healthz")).status_code == 200


async def test_every_answer_has_the_protecting_headers(harness: Harness) -> None:
    for path in ("/healthz", "/api/v1/me", "/nothing", "/demo/", "/api/openapi.json"):
        headers = (await harness.anyone.get(path)).headers
        assert headers["x-content-type-options"] == "nosniff"
        assert headers["referrer-policy"] == "same-origin"
        assert "default-src" in headers["content-security-policy"]
        assert headers["cache-control"]


async def test_head_is_get_without_content(harness: Harness) -> None:
    answer = await harness.anyone.call("HEAD", "/healthz")
    assert (answer.status_code, answer.content) == (200, b"")
    assert answer.headers["content-length"] == str(len((await harness.anyone.get("/healthz")).content))


async def test_nothing_is_answered_from_another_origin(harness: Harness) -> None:
    headers = {"origin": "https://evil.example"}
    answer = await harness.anyone.get("/api/v1/me", headers=headers)
    assert "access-control-allow-origin" not in answer.headers


# Health


async def failing() -> None:
    raise OSError("no space left")


async def hanging() -> None:
    await asyncio.Event().wait()


async def working() -> None:
    return


async def test_alive(harness: Harness) -> None:
    assert await harness.anyone.ok("GET", "/healthz") == {"status": "alive"}


async def test_ready_names_every_part() -> None:
    async with opened(parts=[("hot tier", working), ("cold tier", working)]) as harness:
        assert await harness.anyone.ok("GET", "/readyz") == {
            "status": "ready",
            "parts": [
                {"name": "hot tier", "ready": True, "detail": ""},
                {"name": "cold tier", "ready": True, "detail": ""},
            ],
        }


async def test_unready_says_which_part_and_why(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("unique_cs.api.health.CHECK_S", 0.05)
    async with opened(parts=[("hot tier", failing), ("cold tier", hanging)]) as harness:
        answer = await harness.anyone.get("/readyz")
        assert answer.status_code == 503
        assert [part["detail"] for part in answer.json()["parts"]] == ["no space left", "does not answer"]


async def test_details_are_for_this_machine_and_for_agents() -> None:
    async with opened(parts=[("hot tier", failing)]) as harness:
        agent, contact = await harness.agent(), await harness.contact()
        for token in ("", "x", contact.token):
            outside = from_elsewhere(harness, token)
            answer = await outside.get("/readyz")
            assert (answer.status_code, answer.json()) == (503, {"status": "unready"})
            assert is_problem(await outside.get("/metrics"), 401, "unauthorized")
        inside = from_elsewhere(harness, agent.token)
        assert "parts" in (await inside.get("/readyz")).json()
        assert (await inside.get("/metrics")).text == "metric 1\n"
        assert (await harness.caller(address="::1").get("/metrics")).status_code == 200


async def test_prometheus_has_a_token_of_its_own() -> None:
    async with opened(parts=[("hot tier", working)], metrics_token="scrape") as harness:
        prometheus = from_elsewhere(harness, "scrape")
        assert (await prometheus.get("/metrics")).text == "metric 1\n"
        assert "parts" in (await prometheus.get("/readyz")).json()
        assert (await prometheus.call("GET", "conversations")).status_code == 401
        assert is_problem(await from_elsewhere(harness, "scrap").get("/metrics"), 401, "unauthorized")


@pytest.mark.parametrize("name", ["x-forwarded-for", "forwarded", "via", "x-real-ip"])
async def test_what_a_proxy_on_this_machine_forwards_is_not_local(harness: Harness, name: str) -> None:
    answer = await harness.anyone.get("/metrics", headers={name: "192.0.2.7"})
    assert is_problem(answer, 401, "unauthorized")


async def test_metrics_are_text(harness: Harness) -> None:
    answer: httpx.Response = await harness.anyone.get("/metrics")
    assert answer.headers["content-type"].startswith("text/plain; version=0.0.4")
