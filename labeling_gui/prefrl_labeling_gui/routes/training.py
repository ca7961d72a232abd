"""How the training goes: curves, and the agent's episodes until now; and what its owner wishes of it."""

import shlex

from fastapi import FastAPI

from prefrl_labeling_gui.access import Owner, Person, Refusal, Shared
from prefrl_labeling_gui.curves import read_curves
from prefrl_labeling_gui.messages import AgentReply, AgentRequest, ShowcaseEntry, TrainingReply


def add_to(app: FastAPI) -> None:
    """Register the routes."""
    app.get("/api/training")(training)
    app.post("/api/agent")(agent)


def training(context: Shared, person: Person) -> TrainingReply:
    """Return curves and episodes."""
    episodes = context.store.showcase() if context.training_view.run is not None else []
    resume = f"prefrl resume {shlex.quote(str(context.settings.run))}"
    return TrainingReply(
        curves=read_curves(context.settings.run / "log" / "metrics.jsonl"),
        showcase=[
            ShowcaseEntry(num_timesteps=num_timesteps, **context.clip(segment_id).model_dump())
            for num_timesteps, segment_id in episodes
        ],
        resume_command=resume if person.role == "owner" else None,
    )


def agent(body: AgentRequest, context: Shared, owner: Owner) -> AgentReply:
    """Have the agent pause, go on, or save and stop; it does so between two rollouts."""
    view = context.training_view
    if view.wish == "stop" and body.wish != "stop":
        raise Refusal(409, "The training is saving and stopping already.")
    if not view.tell(body.wish, owner.name):
        raise Refusal(409, "No training is running that could be told.")
    return AgentReply(progress=view.progress(owner.name))
