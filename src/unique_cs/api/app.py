"""Puts the HTTP side together: one ASGI application from what it is given."""

import asyncio
from collections.abc import Callable
from functools import partial

import msgspec
from litestar import Litestar, Response, Router, get
from litestar.di import NamedDependency, Provide
from litestar.openapi import OpenAPIConfig
from litestar.params import SkipValidation

from unique_cs.api import agents, auth, contacts, conversations, docs, health, messages, openapi, pages
from unique_cs.api.deps import Deps, acting, principal
from unique_cs.api.edge import App, Edge
from unique_cs.api.pages import Assets
from unique_cs.api.problems import answer

_DOCS_POLICY = {"content-security-policy": "default-src 'none'; style-src 'self'; frame-ancestors 'none'"}


class Description:
    """The description of the API and its page, made when first asked for.

    `make` makes an application that is described and never served: what the framework adds to one that it
    describes are pages with scripts of other hosts, and one that holds the event loop up for half a second.
    """

    def __init__(self, make: Callable[[], Litestar]) -> None:
        self._make = make
        self._made: asyncio.Task[tuple[bytes, str]] | None = None

    async def get(self) -> tuple[bytes, str]:
        """Return the description as JSON and as a page."""
        if self._made is None:
            self._made = asyncio.create_task(asyncio.to_thread(self._describe))
        return await asyncio.shield(self._made)

    def _describe(self) -> tuple[bytes, str]:
        found = openapi.describe(self._make())
        return msgspec.json.encode(found), docs.render(found)


DescribedApi = NamedDependency[SkipValidation[Description]]


@get("/openapi.json")
async def openapi_json(described: DescribedApi) -> Response[bytes]:
    """The description for machines."""
    content, _ = await described.get()
    return Response(content, media_type="application/json", headers={"access-control-allow-origin": "*"})


@get("/docs")
async def docs_page(described: DescribedApi) -> Response[str]:
    """The description for people."""
    _, page = await described.get()
    return Response(page, media_type="text/html", headers=_DOCS_POLICY)


@get("/docs.css")
async def docs_style() -> Response[str]:
    """The style of the page."""
    return Response(docs.STYLE, media_type="text/css")


def create_api(deps: Deps) -> App:
    """Return the ASGI application over `deps`. It opens nothing and needs no lifespan."""
    assets = Assets(deps.assets)

    def provide_deps() -> Deps:
        return deps

    def provide_assets() -> Assets:
        return assets

    def provide_description() -> Description:
        return description

    description_router = Router(
        "/api", route_handlers=[openapi_json, docs_page, docs_style], include_in_schema=False
    )
    resources = [each.router for each in (auth, contacts, conversations, messages, agents, health, pages)]
    make = partial(
        Litestar,
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
        request_max_body_size=deps.max_body,
    )
    config = OpenAPIConfig(openapi.TITLE, openapi.VERSION, use_handler_docstrings=True)
    description = Description(lambda: make(resources, openapi_config=config))
    app = make([*resources, description_router], openapi_config=None)
    return Edge(app, deps.clock, deps.requests)
