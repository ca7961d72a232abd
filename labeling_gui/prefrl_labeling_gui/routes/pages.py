"""The pages, what they are made of, and the links that let people in."""

from importlib.resources import files
from pathlib import Path
from string import Template
from typing import Any

from fastapi import FastAPI, Request
from starlette.responses import HTMLResponse, RedirectResponse, Response
from starlette.staticfiles import StaticFiles
from starlette.types import Scope

from prefrl_labeling_gui.access import PageOwner, PageVisitor, Refusal, Shared, Visitor, require_page
from prefrl_labeling_gui.context import ServerContext
from prefrl_labeling_gui.people import SESSION_SECONDS
from prefrl_labeling_gui.plain_page import plain_page
from prefrl_labeling_gui.security import comes_from_elsewhere, is_embedded_elsewhere

PACKAGE = Path(str(files("prefrl_labeling_gui")))
STATIC = PACKAGE / "static"
PAGES = ("label", "history", "training", "people", "disagreements", "practice")
"""Each is its content in `pages/`, in the frame that lies there, and a style and a script of its name."""


_OWNERS_LINK_IS_USED = "This link has been used or is too old; `prefrl label` prints a new one."
_INVITATION_IS_OVER = "This link works no more. Ask whoever invited you for a new one."


class Assets(StaticFiles):
    """Scripts, styles and pictures, the same for everybody; browsers ask whether they have changed."""

    async def get_response(self, path: str, scope: Scope) -> Response:
        """Return a file."""
        response = await super().get_response(path, scope)
        response.headers["cache-control"] = "no-cache"
        return response


def add_to(app: FastAPI) -> None:
    """Register the routes."""
    options: dict[str, Any] = {"include_in_schema": False, "response_model": None}
    app.get("/", **options)(label_page)
    app.get("/join/{token}", **options)(join)
    app.get("/history", **options)(history_page)
    app.get("/training", **options)(training_page)
    app.get("/people", **options)(people_page)
    app.get("/disagreements", **options)(disagreements_page)
    app.get("/practice", **options)(practice_page)
    app.mount("/static", Assets(directory=STATIC), name="static")


def label_page(request: Request, context: Shared, visitor: Visitor, token: str | None = None) -> Response:
    """Serve the page that asks, or sign somebody in."""
    if token is not None:
        return join(request, context, visitor, token)
    require_page(request, context, visitor)
    return _page("label")


def join(request: Request, context: Shared, visitor: Visitor, token: str) -> Response:
    """Turn the token of a link into a session. A link that is used up does no harm to who is in already."""
    if is_embedded_elsewhere(request.headers):
        raise Refusal(403, "Another site asked for this; open the link yourself.", as_page=True)
    person = context.people.sign_in(token)
    if person is None:
        if visitor is not None:
            return RedirectResponse("/", status_code=303)
        _count_failure(request, context)
        # The owner's link is that of the page itself, an invitation has an address of its own.
        is_owners = request.url.path == "/"
        raise Refusal(401, _OWNERS_LINK_IS_USED if is_owners else _INVITATION_IS_OVER, as_page=True)
    response = _onward(request)
    response.set_cookie(
        context.people.cookie_name,
        context.people.cookie(person),
        max_age=SESSION_SECONDS,
        path="/",
        secure=request.url.scheme == "https",
        httponly=True,
        samesite="strict",
    )
    return response


def _count_failure(request: Request, context: ServerContext) -> None:
    """Refuse who tries too many links. A link that works is never refused, nor does another site's click count."""
    if comes_from_elsewhere(request.headers):
        return
    address = "" if request.client is None else request.client.host
    if context.login_limit.is_over(address):
        raise Refusal(429, "Too many links that do not work; wait a minute and try again.", as_page=True)
    context.login_limit.failed(address)


def history_page(person: PageVisitor) -> Response:
    """Serve the page of past answers."""
    return _page("history")


def training_page(person: PageVisitor) -> Response:
    """Serve the page of curves and clips."""
    return _page("training")


def people_page(person: PageOwner) -> Response:
    """Serve the page of people."""
    return _page("people")


def disagreements_page(person: PageOwner) -> Response:
    """Serve the page of what people say opposite things of."""
    return _page("disagreements")


def practice_page(person: PageVisitor) -> Response:
    """Serve the page on which somebody tries what counts for nothing."""
    return _page("practice")


def _page(name: str) -> Response:
    return HTMLResponse(_TEXTS[name], headers={"cache-control": "no-cache"})


def _text(name: str) -> str:
    frame, content = ((PACKAGE / "pages" / f"{file}.html").read_text("utf-8") for file in ("frame", name))
    return Template(frame).substitute(name=name, title=name.capitalize(), content=content.rstrip())


_TEXTS = {name: _text(name) for name in PAGES}


def _onward(request: Request) -> Response:
    """Lead to the page; through a page of our own if the link was on another site.

    A redirect that began on another site is a request from there, and a strict cookie is not sent with it.
    """
    if comes_from_elsewhere(request.headers):
        return HTMLResponse(plain_page("You are in", "The labelling page opens.", onward="/"))
    return RedirectResponse("/", status_code=303)
