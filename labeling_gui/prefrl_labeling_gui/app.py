"""The web application of one labelling server, from its routes and what stands before them."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from starlette.exceptions import HTTPException
from starlette.middleware import Middleware
from starlette.middleware.body_limit import RequestBodyLimitMiddleware
from starlette.middleware.trustedhost import TrustedHostMiddleware
from starlette.responses import HTMLResponse, JSONResponse, Response

from prefrl.errors import AnswerConflictError, PrefRLError
from prefrl_labeling_gui import __version__
from prefrl_labeling_gui.access import Refusal
from prefrl_labeling_gui.clips import ClipError
from prefrl_labeling_gui.context import LOG, ServerContext
from prefrl_labeling_gui.plain_page import plain_page
from prefrl_labeling_gui.routes import answering, disagreements, media, pages, people, training
from prefrl_labeling_gui.security import MAX_BODY_BYTES, SameOriginWrites, SecurityHeaders

LOOK_SECONDS = 0.5
"""How often the store is looked at for what the trainer has done."""


def create_app(context: ServerContext) -> FastAPI:
    """Return the application; it looks at the run while it lives, and ends the drawing processes with it.

    Args:
        context: The run that is labelled, opened.
    """

    @asynccontextmanager
    async def lifespan(app: FastAPI) -> AsyncIterator[None]:
        watching = asyncio.create_task(_watch(context))
        yield
        watching.cancel()
        await asyncio.to_thread(context.close)

    app = FastAPI(
        title="prefrl labelling",
        version=__version__,
        openapi_url=None,  # the pages that show it load scripts from elsewhere
        lifespan=lifespan,
        middleware=[
            Middleware(SecurityHeaders),
            Middleware(TrustedHostMiddleware, context.settings.allowed_hosts, www_redirect=False),
            Middleware(SameOriginWrites),
            Middleware(RequestBodyLimitMiddleware, MAX_BODY_BYTES),
        ],
        exception_handlers={
            Refusal: _refused,
            AnswerConflictError: _conflict,
            PrefRLError: _failed,
            ClipError: _failed,
            RequestValidationError: _malformed,
            HTTPException: _http_error,
        },
    )
    app.state.context = context
    for part in (pages, answering, training, people, disagreements, media):
        part.add_to(app)
    return app


async def _watch(context: ServerContext) -> None:
    """Keep looking at the store. What goes wrong is logged once, and tried again."""
    problem = ""
    while True:
        await asyncio.sleep(LOOK_SECONDS)
        try:
            await asyncio.to_thread(context.look)
            problem = ""
        except Exception as error:  # whatever it is, the pages go on with what was last seen
            if str(error) != problem:
                LOG.error("%s", error, exc_info=not isinstance(error, PrefRLError))
            problem = str(error)


def _problem(status: int, sentence: str) -> JSONResponse:
    return JSONResponse({"error": sentence}, status_code=status)


async def _refused(request: Request, error: Exception) -> Response:
    assert isinstance(error, Refusal)
    if error.as_page:
        return HTMLResponse(plain_page("Not here", str(error)), status_code=error.status)
    return _problem(error.status, str(error))


async def _conflict(request: Request, error: Exception) -> Response:
    return _problem(409, str(error))


async def _failed(request: Request, error: Exception) -> Response:
    """Say that nothing was done: the disk is full, the store is locked, the clips cannot be drawn."""
    LOG.error("%s", error)
    return _problem(503, str(error))


async def _malformed(request: Request, error: Exception) -> Response:
    assert isinstance(error, RequestValidationError)
    first = error.errors()[0]
    own = first.get("ctx", {}).get("error")
    if isinstance(own, PrefRLError):  # a check of ours, whose sentence is for people
        return _problem(422, str(own))
    return _problem(422, f"{'.'.join(str(part) for part in first['loc'])}: {first['msg']}.")


async def _http_error(request: Request, error: Exception) -> Response:
    """Answer unknown addresses and methods in the way they were asked for."""
    assert isinstance(error, HTTPException)
    if "text/html" in request.headers.get("accept", ""):
        page = plain_page("Not here", f"{error.detail}.")
        return HTMLResponse(page, status_code=error.status_code, headers=error.headers)
    return JSONResponse({"error": f"{error.detail}."}, status_code=error.status_code, headers=error.headers)
