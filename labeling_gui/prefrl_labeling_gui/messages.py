"""What goes over HTTP as JSON, in both directions."""

from typing import TYPE_CHECKING, Annotated, Literal, TypeAlias
from uuid import UUID

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, StringConstraints

from prefrl.registry import FEEDBACK_KINDS
from prefrl.segments import Remark
from prefrl.segments.answers import LEVELS, LONGEST_COMMENT, RANKING
from prefrl.store import Role, Wish
from prefrl_labeling_gui.assignment import Choice
from prefrl_labeling_gui.examples import ExampleName
from prefrl_labeling_gui.names import clean_name

if TYPE_CHECKING:
    FeedbackKindName: TypeAlias = str
else:  # what the registry lists is what the page may send
    FeedbackKindName = Literal[tuple(FEEDBACK_KINDS)]

QueryId = Annotated[str, StringConstraints(pattern=r"^[0-9a-f]{32}$")]
NewName = Annotated[str, AfterValidator(clean_name)]
"""Of somebody new: letters and digits of any script, spaces, a little punctuation; never markup or a slash."""
KnownName = Annotated[str, StringConstraints(min_length=1, max_length=200)]
"""Of somebody who may be known, as it is stored."""

Count = Annotated[int, Field(ge=0, lt=2**31)]
Rank = Annotated[int, Field(ge=0, lt=RANKING.most_segments)]
Level = Annotated[int, Field(ge=1, le=LEVELS, strict=True)]
Quota = Annotated[int, Field(ge=1, lt=2**31)]
"""Comparisons that somebody is asked for at most."""
Reason = Literal["none_open", "quota_given", "budget_used", "finished"]


class _Request(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class _Reply(BaseModel):
    model_config = ConfigDict(frozen=True)


class ClaimsRequest(_Request):
    """Ask for queries to answer."""

    n: Annotated[int, Field(ge=1, le=5)]
    """How many, those in `holding` not counted."""
    holding: Annotated[list[QueryId], Field(max_length=1000)] = []
    """Queries that the page has, or whose answers it has not sent yet."""


class AnswerRequest(_Request):
    """Say which is better, how all follow each other, or how good one is; or take that back."""

    id: UUID
    """Made by the page; the same answer sent again has the same."""
    query_id: QueryId
    choice: Choice | None = None
    """Without it, `ranks` and `rating`, the answer named in `supersedes` is taken back."""
    ranks: Annotated[list[Rank], Field(max_length=RANKING.most_segments)] | None = None
    """Of each clip in the order of the screen: 0 for the best, equals share one, none is left out."""
    rating: Level | None = None
    """Of the one clip that is shown: 1 for the worst."""
    kind: FeedbackKindName = "pair"
    """What kind of feedback it is."""
    supersedes: UUID | None = None
    reaction_ms: Count | None = None
    replays: Count | None = None
    client_time: Annotated[int, Field(ge=0, lt=2**53)] | None = None
    """Milliseconds since 1970 UTC by the browser's clock."""
    remark: Remark | None = None
    """What is the matter with the clips."""
    comment: Annotated[str, Field(min_length=1, max_length=LONGEST_COMMENT)] | None = None
    """The same in one's own words."""


class GoldRequest(_Request):
    """Measure others by one's own answer to a query, or no more."""

    query_id: QueryId
    gold: bool


class SettleRequest(_Request):
    """Have one person's answer to a query hold, or all of them again."""

    query_id: QueryId
    labeler: KnownName | None
    """Whose answer holds; None takes back that any does."""


class InvitationRequest(_Request):
    """Invite somebody."""

    name: NewName
    role: Role = "labeler"
    """An owner sees what all say, invites, and says what the agent does."""
    quota: Quota | None = None
    """None for no bound; owners have none."""


class QuotaRequest(_Request):
    """Ask somebody for so many comparisons at most."""

    quota: Quota | None
    """None for no bound."""


class AsideRequest(_Request):
    """Set somebody's answers aside, or take that back."""

    aside: bool


class AgentRequest(_Request):
    """Wish something of the agent."""

    wish: Wish


class ClipReply(_Reply):
    """Where a clip is and how it plays."""

    clip: str
    poster: str
    duration_s: float
    fps: float
    speed: float
    """Simulated seconds per second: below 1 in slow motion."""


class TrainerProgress(BaseModel):
    """What the training does; what it has not said is None."""

    model_config = ConfigDict(frozen=True, extra="ignore")

    state: str | None = None
    num_timesteps: int | None = None
    labels: int | None = None
    labels_due: float | None = None
    waits_for: int | None = None
    """Answers that are missing until the agent goes on, those that it has yet to read taken off."""
    refits: int | None = None
    true_return: float | None = None
    held_out_accuracy: float | None = None
    policies: int | None = None
    """Policies so far."""
    note: str | None = None
    """The latest that people should know of the policy."""
    updated_at: int | None = None
    alive: bool
    listens: bool = False
    """Whether it does what the owner wishes."""
    wish: Wish | None = None
    """What the owner has wished of it last; it may not have come to that yet."""


class Progress(_Reply):
    """How far one person, and all together, have come."""

    answered: int
    cannot_tell: int
    total: int
    budget: int | None
    per_minute: float | None
    seconds_left: float | None
    open: int
    quota: int | None
    """Comparisons that this person is asked for at most."""
    counted: int
    """This person's answers that count towards it."""
    trainer: TrainerProgress


class AgentReply(_Reply):
    """A wish is stored."""

    progress: Progress


class PersonReply(_Reply):
    """Who somebody is."""

    name: str
    role: Role


class LegendEntry(_Reply):
    """A part of the agent's body, and the colour that it has in clips."""

    name: str
    colour: str
    """As #RRGGBB."""


class ExampleEntry(_Reply):
    """A clip that shows what is asked for, or what is not."""

    name: ExampleName
    sentence: str
    clip: str


class PracticeEntry(_Reply):
    """A clip to practise on."""

    sentence: str
    """What it shows."""
    clip: str
    fps: float


class RunReply(_Reply):
    """What is asked, and of whom."""

    state: Literal["waiting_for_trainer", "ready"]
    run_id: str
    """Differs from run to run, so that a browser sends what it kept for one run to no other."""
    task: str | None
    question: str | None
    question_is_custom: bool
    feedback: FeedbackKindName
    """What kind of feedback is asked for."""
    choices: list[Choice]
    """What may be said of a query besides ranks and ratings, from left to right."""
    ranking: bool
    """Whether ranks are asked for."""
    levels: int
    """With how many levels a clip may be rated; 0 where none is."""
    budget: int | None
    segment_length: int | None
    labeler: PersonReply
    gui_version: str
    show_predictions: bool
    least_look_seconds: float
    """What all clips have to play before a query can be answered."""
    longest_comment: int
    """Characters that a comment may have."""
    examples: list[ExampleEntry]
    """What good looks like, and what does not."""
    practice: list[PracticeEntry]
    """The worst first; empty where there is nothing to practise on, or it is not known yet what is asked."""
    legend: list[LegendEntry]
    """Empty where clips have the environment's own colours."""


class QueryReply(_Reply):
    """Clips to compare, or one to rate."""

    query_id: str
    lease_expires_at: int
    clips: list[ClipReply]
    """In the order of the screen; of two, the left one is the first."""


class ClaimsReply(_Reply):
    """Queries for one person."""

    queries: list[QueryReply]
    reason: Reason | None
    """Why there is none."""
    progress: Progress


class AnswerReply(_Reply):
    """An answer that is stored."""

    id: str
    seq: int
    late: bool
    server_time: int
    progress: Progress


class HistoryEntry(_Reply):
    """An answer given before."""

    answer_id: str
    seq: int
    place: int
    """Among this person's present answers in the order in which clips were first answered: a changed one keeps it.
    -1 for an earlier training of the run."""
    query_id: str
    kind: FeedbackKindName
    choice: Choice | None
    """None where the clips were ranked, or the one was rated."""
    ranks: list[int] | None
    """Of each of `clips`; None where nothing was ranked."""
    rating: int | None
    """Of the one clip, 1 for the worst; None where nothing was rated."""
    choices: list[Choice]
    """What it may be changed to, besides ranks and ratings: what could be said when it was asked."""
    ranking: bool
    """Whether it may be changed to ranks."""
    levels: int
    """Of how many levels it may be changed to any; 0 where nothing was to be rated."""
    clips: list[ClipReply]
    """In the order of the screen."""
    server_time: int
    changed: bool
    gold: bool
    """Others are measured by it."""
    remark: Remark | None
    comment: str | None


class HistoryReply(_Reply):
    """Answers given before, newest first."""

    items: list[HistoryEntry]
    next_before: int | None
    """`before` of the next page; None on the last one."""


class ShowcaseEntry(_Reply):
    """An episode of the agent."""

    num_timesteps: int
    clip: str
    poster: str
    duration_s: float
    fps: float
    speed: float


class TrainingReply(_Reply):
    """How the training goes."""

    curves: dict[str, list[float | None]]
    showcase: list[ShowcaseEntry]
    resume_command: str | None
    """How one goes on with a training that was stopped; for the owner only."""


class PredictionsReply(_Reply):
    """What the reward model makes of each step."""

    clips: list[list[float]]
    """In the order of the screen."""


class QualityReply(_Reply):
    """How somebody answers; shares are from 0 to 1, None where there is too little to tell."""

    left: float | None
    """Of the comparisons, those that say "left"; in a ranking, of each two clips, the one that is shown before."""
    right: float | None
    equal: float | None
    median_seconds: float | None
    too_fast: float | None
    agreement: float | None
    """With others, of `n_shared` answers."""
    n_shared: int
    gold: float | None
    """With what is known, of `n_gold` answers."""
    n_gold: int
    warnings: list[str]


class PeopleEntry(_Reply):
    """How somebody does."""

    name: str
    role: Role
    answers: int
    per_minute: float | None
    error_estimate: float | None
    revoked: bool
    comes_by_link: bool
    """Can get a new link, or be locked out: everybody but the owner whose run it is."""
    set_aside: bool
    """What this person says is kept, and not learned from."""
    quota: int | None
    """Comparisons that this person is asked for at most."""
    counted: int
    """This person's answers that count towards it."""
    last_seen: int | None
    quality: QualityReply | None
    """None before the first answer."""


class AgreementReply(_Reply):
    """How far people agree."""

    raw: float | None
    alpha: float | None
    n_pairs: int


class PeopleReply(_Reply):
    """Everybody."""

    people: list[PeopleEntry]
    agreement: AgreementReply
    n_disagreements: int
    """Queries of which people say opposite things, and that nobody has settled."""
    shortfall: int
    """Comparisons that the training wants and nobody who was invited will give, for all of them have quotas."""
    owner_answers: bool
    """An owner has answered, who has no quota: the shortfall is no reason to worry."""
    local_only: bool
    """Links are of use on this machine only."""


class InvitationReply(_Reply):
    """A way in for somebody."""

    name: str
    link: str


class QuotaReply(_Reply):
    """How much is asked of somebody at most."""

    name: str
    quota: int | None


class AsideReply(_Reply):
    """Whether somebody's answers are set aside."""

    name: str
    aside: bool


class GoldReply(_Reply):
    """Whether others are measured by an answer."""

    query_id: str
    gold: bool


class OpinionReply(_Reply):
    """What somebody says of a query that others see otherwise."""

    labeler: str
    choice: Choice | None
    """None where clips were ranked or rated."""
    ranks: list[int] | None
    """Of each clip; None where nothing was ranked."""
    rating: int | None
    """Of the only clip; None where nothing was rated."""
    remark: Remark | None
    comment: str | None


class DisagreementEntry(_Reply):
    """A query of which people say opposite things, or that was settled."""

    query_id: str
    clips: list[ClipReply]
    """In one order for all, whichever each of them saw."""
    opinions: list[OpinionReply]
    """What is said at present; of nobody who is set aside."""
    holds: str | None
    """Whose answer alone is learned from; None while it is not settled."""


class DisagreementsReply(_Reply):
    """What is to be settled, and what was: the newest of each."""

    items: list[DisagreementEntry]
    n_open: int
    n_settled: int


class SettleReply(_Reply):
    """Whose answer to a query holds."""

    query_id: str
    labeler: str | None


class RevokedReply(_Reply):
    """Somebody who may come in no more."""

    name: str
    revoked: Literal[True] = True
