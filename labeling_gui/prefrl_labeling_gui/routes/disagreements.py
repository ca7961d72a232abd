"""What people say opposite things of, and whose answer holds; for the owner."""

from fastapi import FastAPI

from prefrl.errors import AnswerConflictError
from prefrl.store import Disagreement, StoredAnswer
from prefrl_labeling_gui.access import Owner, Refusal, Shared
from prefrl_labeling_gui.assignment import on_screen, parts_of
from prefrl_labeling_gui.context import ServerContext
from prefrl_labeling_gui.messages import (
    DisagreementEntry,
    DisagreementsReply,
    OpinionReply,
    SettleReply,
    SettleRequest,
)

MOST = 60
"""So many of those to be settled are shown at once, and of those that were."""


def add_to(app: FastAPI) -> None:
    """Register the routes."""
    app.get("/api/disagreements")(disagreements)
    app.post("/api/settle")(settle)


def disagreements(context: Shared, owner: Owner) -> DisagreementsReply:
    """Return what people say opposite things of in this run, and after it what was settled."""
    found = context.store.disagreements(run=context.answer_index.run)
    to_settle = [one for one in found if one.holds is None]
    settled = [one for one in found if one.holds is not None]
    return DisagreementsReply(
        items=[_entry(context, one) for one in (*to_settle[:MOST], *settled[:MOST])],
        n_open=len(to_settle),
        n_settled=len(settled),
    )


def settle(body: SettleRequest, context: Shared, owner: Owner) -> SettleReply:
    """Have the training learn of a query from one person's answer only, or again from all of them."""
    if body.labeler is None:
        context.store.unsettle(body.query_id)
    else:
        try:
            if body.query_id not in context.answer_index.account(body.labeler).current:
                raise AnswerConflictError(f"{body.labeler!r} says nothing of {body.query_id!r} in this run.")
            context.store.settle(body.query_id, body.labeler, owner.name)
        except AnswerConflictError as error:
            raise Refusal(
                409,
                "This answer was taken back or set aside meanwhile, or says nothing that could be learned from; "
                "reload the page to see what is said now.",
            ) from error
    context.answer_index.refresh()
    return SettleReply(query_id=body.query_id, labeler=body.labeler)


def _entry(context: ServerContext, one: Disagreement) -> DisagreementEntry:
    return DisagreementEntry(
        query_id=one.query_id,
        clips=[context.clip(segment_id) for segment_id in one.segment_ids],
        opinions=[_opinion(answer) for answer in one.answers],
        holds=one.holds,
    )


def _opinion(answer: StoredAnswer) -> OpinionReply:
    assert answer.answer is not None  # who has taken it back contradicts nobody
    choice, ranks, rating = parts_of(on_screen(answer.answer, sides_swapped=False))
    return OpinionReply(
        labeler=answer.labeler,
        choice=choice,
        ranks=ranks,
        rating=rating,
        remark=answer.remark,
        comment=answer.comment,
    )
