"""The OpenAPI description: routes from the framework, types from msgspec, errors from us.

The framework leaves out the discriminator of unions and knows nothing of problem documents.
"""

from typing import Any, Final

import msgspec
from litestar import Litestar

from unique_cs import __version__
from unique_cs.api import agents, auth, contacts, conversations, health, messages, views
from unique_cs.api.problems import MEDIA_TYPE, Problem

TITLE: Final = "unique-cs"
VERSION: Final = __version__

_TYPES: Final = (
    agents.AgentChange,
    agents.AgentRequest,
    agents.Agents,
    agents.InboxChange,
    agents.Inboxes,
    agents.NewAgentView,
    agents.PasswordAnswer,
    auth.LoginAnswer,
    auth.LoginRequest,
    auth.Logins,
    auth.Me,
    auth.PasswordChange,
    contacts.ContactChange,
    contacts.SessionAnswer,
    contacts.SessionRequest,
    conversations.AssignRequest,
    conversations.Conversations,
    conversations.LabelsRequest,
    conversations.StatusRequest,
    health.Health,
    health.Readiness,
    messages.MessageRequest,
    views.EventPage,
    views.InboxSecretsView,
    Problem,
)
_ERRORS: Final = {
    "400": "The body is no JSON",
    "401": "The token is missing, unknown, expired or revoked",
    "403": "The actor may not do this, is blocked or disabled",
    "404": "There is no such id, or it is not for this actor",
    "409": "It was changed meanwhile, or the key was used for something else",
    "413": "The body or the text is too large",
    "422": "The content is not valid",
    "429": "Too many requests; `Retry-After` says when to come back",
    "500": "Internal error",
    "503": "Overloaded; `Retry-After` says when to come back",
}
_SCHEME: Final = {
    "type": "http",
    "scheme": "bearer",
    "description": "The token that signing in, or a contact's session, gave",
}

Schema = dict[str, Any]


def describe(app: Litestar) -> Schema:
    """Return the description of `app`. It takes a good part of a second: call it once, in a thread."""
    found: Schema = _plain(app.openapi_schema.to_schema())
    _, components = msgspec.json.schema_components(_TYPES, ref_template="#/components/schemas/{name}")
    _amend(components)
    found["components"] = {"schemas": components, "securitySchemes": {"token": _SCHEME}}
    found["servers"] = [{"url": "/"}]
    for path, item in found["paths"].items():
        for operation in item.values():
            _finish(path, operation)
    return found


def _plain(value: Any) -> Any:
    """The same without what says nothing: bounds as floats, false flags."""
    if isinstance(value, dict):
        return {
            name: _plain(each) for name, each in value.items() if not (each is False and name in _FALSE_FLAGS)
        }
    if isinstance(value, list):
        return [_plain(each) for each in value]
    return int(value) if isinstance(value, float) and value.is_integer() else value


_FALSE_FLAGS: Final = frozenset({"deprecated", "allowEmptyValue", "allowReserved"})


def _amend(components: Schema) -> None:
    """Say what the types cannot: a raw event, who has to be named, and that `until` goes with `snoozed`."""
    event = {"$ref": "#/components/schemas/EventView"}
    components["ConversationView"]["properties"]["last_message"] = {"anyOf": [event, {"type": "null"}]}
    components["AssignRequest"]["anyOf"] = [{"required": ["agent"]}, {"required": ["team"]}]
    status = components["StatusRequest"]
    status["if"] = {"properties": {"until": {"type": "integer"}}, "required": ["until"]}
    status["then"] = {"properties": {"status": {"const": "snoozed"}}}


def _finish(path: str, operation: Schema) -> None:
    operation.setdefault("security", [{"token": []}])
    for parameter in operation.get("parameters", []):
        parameter["schema"] = _without_null(parameter["schema"])
        if parameter.get("required"):
            parameter["schema"].pop("default", None)
    answers = operation["responses"]
    for status in [each for each in answers if each.startswith("4")]:
        del answers[status]
    if path == "/readyz":
        answers["503"] = {**answers["200"], "description": "Not ready"}
    for status in _statuses(path, operation):
        answers.setdefault(status, _error(_ERRORS[status]))


def _without_null(schema: Schema) -> Schema:
    """A parameter that may be left out is not sent as null."""
    kinds = [each for each in schema.get("oneOf", []) if each != {"type": "null"}]
    return kinds[0] if len(kinds) == 1 else schema


def _statuses(path: str, operation: Schema) -> list[str]:
    """The errors that an operation can answer with."""
    found = {"429", "500"}
    if {} not in operation["security"]:
        found |= {"401", "403"}
    if path in {"/metrics", "/api/v1/auth/login", "/api/v1/contacts/session"}:
        found |= {"401"}
    if path.startswith("/api/v1"):
        found |= {"503"}
    if operation.get("parameters"):
        found |= {"404", "422"}
    if "requestBody" in operation:
        found |= {"400", "403", "404", "409", "413", "422"}
    return sorted(found)


def _error(description: str) -> Schema:
    content = {MEDIA_TYPE: {"schema": {"$ref": "#/components/schemas/Problem"}}}
    return {"description": description, "content": content}
