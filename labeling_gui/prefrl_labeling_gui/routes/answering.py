"""Queries to answer, answers, and a person's own past answers."""

from collections.abc import Sequence
from typing import Annotated

from fastapi import FastAPI, Query
from starlette.responses import Response

from prefrl.errors import SettingError
from prefrl.segments import FeedbackKind, Rating, feedback_kind
from prefrl.segments.answers import LONGEST_COMMENT
from prefrl.store import Claim, HistoryItem
from prefrl_labeling_gui import __version__
from prefrl_labeling_gui.access import Person, Refusal, Shared
from prefrl_labeling_gui.assignment import (
    OnScreen,
    choices_of,
    judgement_of,
    levels_of,
    on_screen,
    parts_of,
    sides_of,
)
from prefrl_labeling_gui.clip_folder import ClipError
from prefrl_labeling_gui.context import LOG, ServerContext
from prefrl_labeling_gui.events import EventStream, messages
from prefrl_labeling_gui.export import EXPORT_TYPES, ExportKind, exported
from prefrl_labeling_gui.messages import (
    AnswerReply,
    AnswerRequest,
    ClaimsReply,
    ClaimsRequest,
    ExampleEntry,
    HistoryEntry,
    HistoryReply,
    KnownName,
    PersonReply,
    PracticeEntry,
    PredictionsReply,
    Progress,
    QueryId,
    QueryReply,
    Reason,
    RunReply,
)


def add_to(app: FastAPI) -> None:
    """Register the routes."""
    app.get("/api/run")(run)
    app.get("/api/progress")(progress)
    app.get("/api/events", response_model=None)(events)
    app.post("/api/claims")(claims)
    app.post("/api/answers")(answers)
    app.get("/api/history")(history)
    app.get("/api/predictions")(predictions)
    app.get("/api/export", response_model=None)(export)


async def run(context: Shared, person: Person) -> RunReply:
    """Return what is asked, and of whom."""
    about = context.training_view.run
    return RunReply(
        state="waiting_for_trainer" if about is None else "ready",
        run_id=context.people.cookie_name,
        task=None if about is None else about.task,
        question=context.question,
        question_is_custom=context.settings.question is not None,
        feedback=context.feedback.name,
        choices=choices_of(context.feedback),
        ranking=context.feedback.is_ranking,
        levels=levels_of(context.feedback),
        budget=context.training_view.budget,
        segment_length=None if about is None else about.segment_length,
        labeler=PersonReply(name=person.name, role=person.role),
        gui_version=__version__,
        show_predictions=context.settings.show_predictions,
        least_look_seconds=context.settings.least_look,
        longest_comment=LONGEST_COMMENT,
        examples=[
            ExampleEntry(name=one.name, sentence=one.sentence, clip=f"/examples/{one.name}.mp4")
            for one in context.examples.shown
        ],
        practice=[
            PracticeEntry(sentence=one.sentence, clip=f"/practice/{one.name}.mp4", fps=one.fps)
            for one in (() if about is None else context.examples.practice)
        ],
        legend=context.legend,
    )


async def progress(context: Shared, person: Person) -> Progress:
    """Return how far this person and all together have come."""
    return context.training_view.progress(person.name)


async def events(context: Shared, person: Person) -> EventStream:
    """Tell of changes while the page is open."""
    training_view, people, streams = context.training_view, context.people, context.streams
    if streams.is_full(person.name):
        raise Refusal(429, "This page is open too often; close it elsewhere and reload.")
    content = messages(
        streams,
        progress=lambda: training_view.progress(person.name),
        stock=lambda: (training_view.n_news, training_view.n_open),
        is_welcome=lambda: people.is_valid(person),
    )
    return EventStream(streams, person.name, content)


def claims(body: ClaimsRequest, context: Shared, person: Person) -> ClaimsReply:
    """Give queries to answer; nobody else gets them for a while."""
    training_view = context.training_view
    if training_view.run is None:
        return ClaimsReply(queries=[], reason="none_open", progress=training_view.progress(person.name))
    if context.clips_refusal is not None:
        raise ClipError(context.clips_refusal)  # nobody can compare what is not to be seen
    wanted = not training_view.is_finished and not training_view.budget_is_used
    given = context.assignment.claim(
        person.name, body.n, kind=context.feedback, holding=body.holding, repeats=wanted
    )
    context.draw_ahead([segment_id for claim in given for segment_id in claim.segment_ids])
    return ClaimsReply(
        queries=[_query(context, claim) for claim in given],
        reason=None if given else _reason(context, person.name, body.holding),
        progress=training_view.progress(person.name),
    )


def answers(body: AnswerRequest, context: Shared, person: Person) -> AnswerReply:
    """Store an answer; it is safe when this replies. The same answer sent again gets the same reply."""
    claim = context.assignment.given(person.name, body.query_id)
    if claim is None:
        raise Refusal(404, "You were not asked this; reload the page to get what is to be answered now.")
    # The page says what could be said: since it was opened a run may have begun that asks something else.
    kind = feedback_kind(body.kind)
    said = _said(body, kind, n_clips=len(claim.segment_ids))
    with context.answering(person.name):  # of several tabs at once, one is the first
        answered = body.query_id in context.answer_index.account(person.name).current
        if answered and body.supersedes is None and not context.answer_index.knows(str(body.id)):
            # From a page that was out of reach while the pair was answered in another: the newer click came first.
            raise Refusal(
                409,
                "You had answered this in another tab or on another device; that answer stands, and can be "
                "changed under History.",
            )
        stored = context.assignment.answer(
            claim,
            person.name,
            said,
            kind=kind,
            answer_id=body.id,
            supersedes=body.supersedes,
            reaction_ms=body.reaction_ms,
            replays=body.replays,
            client_time=body.client_time,
            remark=body.remark,
            comment=body.comment,
        )
        if stored.seq > context.answer_index.seq:  # else it was stored before, and the reply got lost
            LOG.info("answer %s by %s to %s is %d", stored.id, stored.labeler, stored.query_id, stored.seq)
        context.answer_index.refresh()
    return AnswerReply(
        id=stored.id,
        seq=stored.seq,
        late=stored.late,
        server_time=stored.server_time,
        progress=context.training_view.progress(person.name),
    )


def history(
    context: Shared,
    person: Person,
    before: Annotated[int | None, Query(ge=0, lt=2**53)] = None,
    limit: Annotated[int, Query(ge=1, le=200)] = 50,
    labeler: KnownName | None = None,
    last_answered: bool = False,
) -> HistoryReply:
    """Return past answers, newest first; those of others to the owner only.

    With `last_answered` they are those to the queries that were answered last, whatever was changed since.
    """
    if labeler not in (None, person.name) and person.role != "owner":
        raise Refusal(403, "The answers of others are for the owner of the run only.")
    name = labeler or person.name
    places = {query_id: place for place, query_id in enumerate(list(context.answer_index.account(name).current))}
    last = list(places)[-limit:] if last_answered else None
    items = context.store.history(name, before=before, limit=limit, query_ids=last)
    return HistoryReply(
        items=[_entry(context, item, places.get(item.answer.query_id, -1)) for item in items],
        next_before=items[-1].answer.seq if last is None and len(items) == limit else None,
    )


def predictions(query_id: QueryId, context: Shared, person: Person) -> PredictionsReply:
    """Return what the reward model makes of clips about which this person has answered."""
    said = context.answer_index.account(person.name).current.get(query_id)
    claim = context.store.given(person.name, query_id)
    if not context.settings.show_predictions or said is None or claim is None:
        raise Refusal(404, "There are no predictions to show.")
    segment_ids = sides_of(claim.segment_ids, sides_swapped=said.sides_swapped)
    predicted = context.store.predictions(segment_ids)
    if not set(segment_ids) <= predicted.keys():
        raise Refusal(404, "The reward model has not seen these clips yet.")
    return PredictionsReply(clips=[predicted[segment_id] for segment_id in segment_ids])


def export(
    context: Shared, person: Person, everybody: bool = False, kind: Annotated[ExportKind, Query()] = "jsonl"
) -> Response:
    """Return answers to keep, oldest first: a person's own, and to the owner everybody's if that is asked for."""
    if everybody and person.role != "owner":
        raise Refusal(403, "The answers of others are for the owner of the run only.")
    items = context.store.history(None if everybody else person.name, limit=None)[::-1]
    name = "answers-of-everybody" if everybody else "answers"
    headers = {"content-disposition": f'attachment; filename="{name}.{kind}"'}
    # Answers of earlier runs of this folder were given to questions that nobody has kept.
    index, question = context.answer_index, context.question
    text = exported(
        items,
        kind,
        question=lambda query_id: question if index.is_of_this_run(query_id) else None,
        tells_repeats=everybody,
    )
    return Response(text, media_type=EXPORT_TYPES[kind], headers=headers)


def _reason(context: ServerContext, name: str, holding: Sequence[str]) -> Reason:
    """Return why there is nothing for somebody who holds some queries."""
    if context.training_view.is_finished:
        return "finished"
    if context.training_view.budget_is_used:
        return "budget_used"
    return "quota_given" if context.answer_index.n_to_give(name, holding) == 0 else "none_open"


def _said(body: AnswerRequest, kind: FeedbackKind, *, n_clips: int) -> OnScreen | None:
    """Return what an answer says of the clips on the screen; None where it takes an earlier one back."""
    parts: list[OnScreen] = []
    if body.choice is not None:
        parts.append(body.choice)
    if body.ranks is not None:
        parts.append(tuple(body.ranks))
    if body.rating is not None:
        parts.append(Rating(body.rating))
    if len(parts) > 1:
        raise Refusal(422, "One of `choice`, `ranks` and `rating` is said, not several.")
    if not parts:
        if body.supersedes is None:
            raise Refusal(
                422,
                "Without `choice`, `ranks` and `rating` the answer named in `supersedes` is taken back: name it.",
            )
        return None
    [said] = parts
    _check_kind(said, kind)
    try:
        judgement = judgement_of(said, sides_swapped=False)
    except SettingError as error:
        raise Refusal(422, str(error)) from error
    if not kind.fits(judgement, n_clips):
        shown = "one clip that was" if n_clips == 1 else f"{n_clips} clips that were"
        raise Refusal(422, f"What is said must be about the {shown} shown. Received {said}.")
    return said


def _check_kind(said: OnScreen, kind: FeedbackKind) -> None:
    """Refuse what this kind of feedback does not know."""
    if isinstance(said, str) and said not in choices_of(kind):
        raise Refusal(422, f"`choice` must be one of {', '.join(choices_of(kind))}. Received {said}.")
    if isinstance(said, tuple) and not kind.is_ranking:
        raise Refusal(422, f"`ranks` are said of rankings only. Received them with `kind` {kind.name}.")
    if isinstance(said, Rating) and not kind.is_rating:
        raise Refusal(422, f"A `rating` is said of one clip only. Received it with `kind` {kind.name}.")


def _query(context: ServerContext, claim: Claim) -> QueryReply:
    segment_ids = sides_of(claim.segment_ids, sides_swapped=claim.sides_swapped)
    return QueryReply(
        query_id=claim.query_id,
        lease_expires_at=claim.lease_expires_at,
        clips=[context.clip(segment_id) for segment_id in segment_ids],
    )


def _entry(context: ServerContext, item: HistoryItem, place: int) -> HistoryEntry:
    said = item.answer
    assert said.answer is not None  # withdrawn ones are no present answers
    kind = feedback_kind(said.kind)
    parts = parts_of(on_screen(said.answer, sides_swapped=said.sides_swapped))
    segment_ids = sides_of(item.segment_ids, sides_swapped=said.sides_swapped)
    return HistoryEntry(
        answer_id=said.id,
        seq=said.seq,
        place=place,
        query_id=said.query_id,
        kind=said.kind,
        choice=parts.choice,
        ranks=parts.ranks,
        rating=parts.rating,
        choices=choices_of(kind),
        ranking=kind.is_ranking,
        levels=levels_of(kind),
        clips=[context.clip(segment_id) for segment_id in segment_ids],
        server_time=said.server_time,
        changed=item.changed,
        gold=item.is_gold,
        remark=said.remark,
        comment=said.comment,
    )
