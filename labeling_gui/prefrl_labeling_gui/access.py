"""Route dependencies: what the server has, and who asks. A route is open to whom its dependency lets in."""

from typing import Annotated

from fastapi import Depends, Request

from prefrl.errors import PrefRLError
from prefrl.store import Labeler
from prefrl_labeling_gui.context import ServerContext


class Refusal(PrefRLError):
    """A request is not answered; shown as JSON by the API and as a page elsewhere.

    Args:
        status: HTTP status.
        message: One sentence for the person.
        as_page: Answer with a page.
    """

    def __init__(self, status: int, message: str, *, as_page: bool = False) -> None:
        super().__init__(message)
        self.status = status
        self.as_page = as_page


_SIGNED_OUT = {
    "unknown": "You are not signed in. Open your link again, or ask whoever invited you for a new one. "
    "If the run is yours, `prefrl label` prints a link.",
    "locked out": "You are locked out: the owner of this run has ended your link. Your answers stay.",
    "replaced": "Your link was replaced by a newer one. Open that, or ask whoever invited you. Your answers stay.",
}
_OWNER_ONLY = "This is for the owner of the run only."


def context_of(request: Request) -> ServerContext:
    """Return what the server shares among its routes."""
    context = request.app.state.context
    assert isinstance(context, ServerContext)
    return context


Shared = Annotated[ServerContext, Depends(context_of)]


async def visitor(request: Request, context: Shared) -> Labeler | None:
    """Return who asks, None for somebody unknown."""
    person = context.people.by_cookie(request.cookies.get(context.people.cookie_name))
    if person is not None:
        context.saw(person)
    return person


Visitor = Annotated[Labeler | None, Depends(visitor)]


async def signed_in(request: Request, context: Shared, person: Visitor) -> Labeler:
    """Let everybody with a session in."""
    if person is None:
        raise Refusal(401, _why_out(request, context))
    return person


def require_page(request: Request, context: ServerContext, person: Labeler | None) -> Labeler:
    """Return who sees a page; refuse somebody unknown."""
    if person is None:
        raise Refusal(401, _why_out(request, context), as_page=True)
    return person


async def signed_in_to_page(request: Request, context: Shared, person: Visitor) -> Labeler:
    """Let everybody with a session see a page."""
    return require_page(request, context, person)


def _why_out(request: Request, context: ServerContext) -> str:
    return _SIGNED_OUT[context.people.why_out(request.cookies.get(context.people.cookie_name))]


Person = Annotated[Labeler, Depends(signed_in)]
PageVisitor = Annotated[Labeler, Depends(signed_in_to_page)]


async def owner(person: Person) -> Labeler:
    """Let the owner in."""
    if person.role != "owner":
        raise Refusal(403, _OWNER_ONLY)
    return person


async def owner_of_page(person: PageVisitor) -> Labeler:
    """Let the owner see a page."""
    if person.role != "owner":
        raise Refusal(403, _OWNER_ONLY, as_page=True)
    return person


Owner = Annotated[Labeler, Depends(owner)]
PageOwner = Annotated[Labeler, Depends(owner_of_page)]
