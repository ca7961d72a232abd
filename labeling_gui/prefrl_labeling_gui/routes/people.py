"""Who labels, and how they agree; for the owner."""

from math import ceil

from fastapi import FastAPI, Request

from prefrl.errors import AnswerConflictError, SettingError
from prefrl.feedback.agreement import error_estimate, people_agreement
from prefrl.feedback.quality import Quality, qualities
from prefrl.store import HistoryItem, Labeler
from prefrl_labeling_gui.access import Owner, Refusal, Shared
from prefrl_labeling_gui.context import ServerContext
from prefrl_labeling_gui.messages import (
    AgreementReply,
    AsideReply,
    AsideRequest,
    GoldReply,
    GoldRequest,
    InvitationReply,
    InvitationRequest,
    PeopleEntry,
    PeopleReply,
    QualityReply,
    QuotaReply,
    QuotaRequest,
    RevokedReply,
)
from prefrl_labeling_gui.training_view import number_or_none


def add_to(app: FastAPI) -> None:
    """Register the routes."""
    app.get("/api/people")(people)
    app.post("/api/people")(invite)
    app.post("/api/people/{name}/revoke")(revoke)
    app.post("/api/people/{name}/link")(renew_link)
    app.post("/api/people/{name}/aside")(set_aside)
    app.post("/api/people/{name}/quota")(set_quota)
    app.post("/api/gold")(gold)


def people(context: Shared, owner: Owner) -> PeopleReply:
    """Return everybody and how far they agree."""
    items = context.store.history(None, limit=None)
    aside = {person.name for person in context.people.all() if person.set_aside}
    agreement = people_agreement([item for item in items if item.answer.labeler not in aside])
    found = qualities(items, aside)
    disagreements = context.store.disagreements(run=context.answer_index.run)
    return PeopleReply(
        people=[_entry(context, person, items, found.get(person.name)) for person in context.people.all()],
        agreement=AgreementReply(
            raw=number_or_none(agreement.raw),
            alpha=number_or_none(agreement.alpha),
            n_pairs=agreement.n_pairs,
        ),
        n_disagreements=sum(one.holds is None for one in disagreements),
        shortfall=_shortfall(context),
        owner_answers=any(
            context.answer_index.n_counted(person.name)
            for person in context.people.all()
            if person.role == "owner" and not (person.revoked or person.set_aside)
        ),
        local_only=context.settings.is_local,
    )


def invite(body: InvitationRequest, request: Request, context: Shared, owner: Owner) -> InvitationReply:
    """Make a link for somebody new."""
    try:
        token = context.people.invite(body.name, body.role, body.quota)
    except SettingError as error:
        raise Refusal(409, str(error)) from error
    context.answer_index.refresh()  # it knows the quotas
    return InvitationReply(name=body.name, link=_link(request, token))


def revoke(name: str, context: Shared, owner: Owner) -> RevokedReply:
    """Let somebody in no more; their answers stay."""
    context.people.revoke(_invited(context, name).name)
    return RevokedReply(name=name)


def renew_link(name: str, request: Request, context: Shared, owner: Owner) -> InvitationReply:
    """Make a new link for somebody; the old one, and sessions it began, end."""
    token = context.people.renew(_invited(context, name).name)
    return InvitationReply(name=name, link=_link(request, token))


def set_aside(name: str, body: AsideRequest, context: Shared, owner: Owner) -> AsideReply:
    """Have the training learn nothing from what somebody says, or again from all of it; it follows by itself."""
    person = _known(context, name)
    if _is_program(person):
        raise Refusal(
            409, f"{name} never had a link, and is a program that answers: its answers are the training."
        )
    context.people.set_aside(name, body.aside)
    context.answer_index.refresh()
    return AsideReply(name=name, aside=body.aside)


def set_quota(name: str, body: QuotaRequest, context: Shared, owner: Owner) -> QuotaReply:
    """Ask somebody for so many comparisons at most, or for as many as there are."""
    person = _known(context, name)
    if _is_program(person):
        raise Refusal(409, f"{name} never had a link, and is a program that answers: it is asked by the training.")
    try:
        context.people.set_quota(person.name, body.quota)
    except SettingError as error:
        raise Refusal(409, str(error)) from error
    context.answer_index.refresh()
    return QuotaReply(name=name, quota=body.quota)


def gold(body: GoldRequest, context: Shared, owner: Owner) -> GoldReply:
    """Have a query come to everybody else, to see whether they say what the owner has said; or no more."""
    if body.gold:
        said = context.answer_index.account(owner.name).current.get(body.query_id)
        try:
            if said is None:
                raise AnswerConflictError(f"{owner.name!r} says nothing of {body.query_id!r} in this run.")
            context.store.mark_gold(body.query_id, owner.name)
        except AnswerConflictError as error:
            raise Refusal(
                409,
                "Only clips of this run of which you have said which is better, or how good they are, can be "
                "gold, and none that you were asked a second time.",
            ) from error
    else:
        context.store.unmark_gold(body.query_id)
    return GoldReply(query_id=body.query_id, gold=body.gold)


def _shortfall(context: ServerContext) -> int:
    """Return how many comparisons will be missing, at least, once all have given their quotas; 0 without quotas.

    Owners are not counted on: whoever sets quotas wants others to answer, and hears what is left to do. Nobody
    answers a question twice, so that where several are to answer each one person's quota cannot make up for all.
    """
    asked = [
        person.name
        for person in context.people.all()
        if person.role == "labeler" and not (person.revoked or person.set_aside or _is_program(person))
    ]
    left = [context.answer_index.n_left(name) for name in asked]
    if all(n is None for n in left):
        return 0
    view = context.training_view
    now_open = set(view.open_queries)
    n_questions = max(len(now_open), ceil(view.n_missing / view.overlap))
    n_new = [n_questions - len(context.answer_index.account(name).current.keys() & now_open) for name in asked]
    given = sum(new if n is None else min(n, new) for n, new in zip(left, n_new, strict=True))
    return max(0, view.n_missing - given)


def _is_program(person: Labeler) -> bool:
    """Say whether somebody answers without ever having had a link."""
    return person.role != "owner" and not person.token_hash and not person.revoked


def _known(context: ServerContext, name: str) -> Labeler:
    person = context.people.named(name)
    if person is None:
        raise Refusal(404, "There is nobody of that name.")
    return person


def _invited(context: ServerContext, name: str) -> Labeler:
    person = _known(context, name)
    if person == context.people.owner:
        raise Refusal(
            409, "The owner of the run comes in by the link that `prefrl label` prints, and cannot be shut out."
        )
    return person


def _link(request: Request, token: str) -> str:
    """Return the address of an invitation, by the name under which the owner reached this server."""
    return f"{request.url.scheme}://{request.headers['host']}/join/{token}"


def _entry(
    context: ServerContext, person: Labeler, items: list[HistoryItem], quality: Quality | None
) -> PeopleEntry:
    account = context.answer_index.account(person.name)
    return PeopleEntry(
        name=person.name,
        role=person.role,
        answers=len(account.current),
        per_minute=number_or_none(account.per_minute),
        error_estimate=number_or_none(error_estimate(items, person.name).error),
        revoked=person.revoked,
        comes_by_link=person != context.people.owner,
        set_aside=person.set_aside,
        quota=person.quota,
        counted=context.answer_index.n_counted(person.name),
        last_seen=context.last_seen(person.name),
        quality=None if quality is None else _quality(quality, context.training_view.warnings_of(person.name)),
    )


def _quality(quality: Quality, by_training: list[str]) -> QualityReply:
    return QualityReply(
        left=number_or_none(quality.left),
        right=number_or_none(quality.right),
        equal=number_or_none(quality.equal),
        median_seconds=number_or_none(quality.median_seconds),
        too_fast=number_or_none(quality.too_fast),
        agreement=number_or_none(quality.agreement),
        n_shared=quality.n_shared,
        gold=number_or_none(quality.gold),
        n_gold=quality.n_gold,
        warnings=[*quality.warnings, *by_training],
    )
