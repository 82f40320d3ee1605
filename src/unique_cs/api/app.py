"""Puts the HTTP side together: one ASGI application from what it is given."""

import asyncio

import msgspec
from litestar import Litestar, Response, Router, get
from litestar.di import NamedDependency, Provide
from litestar.openapi import OpenAPIConfig
from litestar.params import SkipValidation

from unique_cs.api import agents, auth, contacts, conversations, docs, health, messages, openapi, pages
from unique_cs.api.deps import AnyRequest, Deps, acting, principal
from unique_cs.api.edge import App, Edge
from unique_cs.api.pages import Assets
from unique_cs.api.problems import answer

_DOCS_POLICY = {"content-security-policy": "default-src 'none'; style-src 'self'; frame-ancestors 'none'"}


class Description:
    """The description of the API and its page, made when first asked for."""

    def __init__(self) -> None:
        self._made: asyncio.Task[tuple[bytes, str]] | None = None

    async def get(self, app: Litestar) -> tuple[bytes, str]:
        """Return the description as JSON and as a page."""
        if self._made is None:
            self._made = asyncio.create_task(asyncio.to_thread(_describe, app))
        return await asyncio.shield(self._made)


DescribedApi = NamedDependency[SkipValidation[Description]]


def _describe(app: Litestar) -> tuple[bytes, str]:
    found = openapi.describe(app)
    return msgspec.json.encode(found), docs.render(found)


@get("/openapi.json")
async def openapi_json(request: AnyRequest, described: DescribedApi) -> Response[bytes]:
    """The description for machines."""
    content, _ = await described.get(request.app)
    return Response(content, media_type="application/json", headers={"access-control-allow-origin": "*"})


@get("/docs")
async def docs_page(request: AnyRequest, described: DescribedApi) -> Response[str]:
    """The description for people."""
    _, page = await described.get(request.app)
    return Response(page, media_type="text/html", headers=_DOCS_POLICY)


@get("/docs.css")
async def docs_style() -> Response[str]:
    """The style of the page."""
    return Response(docs.STYLE, media_type="text/css")


def create_api(deps: Deps) -> App:
    """Return the ASGI application over `deps`. It opens nothing and needs no lifespan."""
    assets, description = Assets(deps.assets), Description()

    def provide_deps() -> Deps:
        return deps

    def provide_assets() -> Assets:
        return assets

    def provide_description() -> Description:
        return description

    description_router = Router(
        "/api", route_handlers=[openapi_json, docs_page, docs_style], include_in_schema=False
    )
    resources = [auth, contacts, conversations, messages, agents, health, pages]
    app = Litestar(
        [each.router for each in resources] + [description_router],
        # Names that no field of a body has: the framework takes a fault in such a field for one of its own.
        dependencies={
            "deps": Provide(provide_deps, sync_to_thread=False),
            "assets": Provide(provide_assets, sync_to_thread=False),
            "described": Provide(provide_description, sync_to_thread=False),
            "principal": Provide(principal),
            "acting": Provide(acting),
        },
        exception_handlers={Exception: answer},
        # Else it takes over the root logger.
        logging_config=None,
        openapi_config=OpenAPIConfig(
            openapi.TITLE, openapi.VERSION, use_handler_docstrings=True, path="/api/schema"
        ),
        request_max_body_size=deps.max_body,
    )
    return Edge(app, deps.clock, deps.requests)
