"""Who labels, and how they agree; for the owner."""

from fastapi import FastAPI, Request

from prefrl.errors import SettingError
from prefrl.feedback.agreement import error_estimate, people_agreement
from prefrl.store import HistoryItem, Labeler
from prefrl_labeling_gui.access import Owner, Refusal, Shared
from prefrl_labeling_gui.board import number_or_none
from prefrl_labeling_gui.labeling import Labeling
from prefrl_labeling_gui.messages import (
    AgreementReply,
    InvitationReply,
    InvitationRequest,
    PeopleEntry,
    PeopleReply,
    RevokedReply,
)


def add_to(app: FastAPI) -> None:
    """Register the routes."""
    app.get("/api/people")(people)
    app.post("/api/people")(invite)
    app.post("/api/people/{name}/revoke")(revoke)
    app.post("/api/people/{name}/link")(renew_link)


def people(labeling: Shared, owner: Owner) -> PeopleReply:
    """Return everybody and how far they agree."""
    items = labeling.store.history(None, limit=None)
    agreement = people_agreement(items)
    return PeopleReply(
        people=[_entry(labeling, person, items) for person in labeling.people.all()],
        agreement=AgreementReply(
            raw=number_or_none(agreement.raw),
            alpha=number_or_none(agreement.alpha),
            n_pairs=agreement.n_pairs,
        ),
        local_only=labeling.settings.is_local,
    )


def invite(body: InvitationRequest, request: Request, labeling: Shared, owner: Owner) -> InvitationReply:
    """Make a link for somebody new."""
    try:
        token = labeling.people.invite(body.name)
    except SettingError as error:
        raise Refusal(409, str(error)) from error
    return InvitationReply(name=body.name, link=_link(request, token))


def revoke(name: str, labeling: Shared, owner: Owner) -> RevokedReply:
    """Let somebody in no more; their answers stay."""
    labeling.people.revoke(_labeler(labeling, name).name)
    return RevokedReply(name=name)


def renew_link(name: str, request: Request, labeling: Shared, owner: Owner) -> InvitationReply:
    """Make a new link for somebody; the old one, and sessions it began, end."""
    token = labeling.people.renew(_labeler(labeling, name).name)
    return InvitationReply(name=name, link=_link(request, token))


def _labeler(labeling: Labeling, name: str) -> Labeler:
    person = labeling.people.named(name)
    if person is None:
        raise Refusal(404, "There is nobody of that name.")
    if person.role == "owner":
        raise Refusal(409, "The owner comes in by the link that `prefrl label` prints, and cannot be shut out.")
    return person


def _link(request: Request, token: str) -> str:
    """Return the address of an invitation, by the name under which the owner reached this server."""
    return f"{request.url.scheme}://{request.headers['host']}/join/{token}"


def _entry(labeling: Labeling, person: Labeler, items: list[HistoryItem]) -> PeopleEntry:
    account = labeling.ledger.account(person.name)
    return PeopleEntry(
        name=person.name,
        role=person.role,
        answers=len(account.current),
        per_minute=number_or_none(account.per_minute),
        error_estimate=number_or_none(error_estimate(items, person.name).error),
        revoked=person.revoked,
        last_seen=labeling.last_seen(person.name),
    )
