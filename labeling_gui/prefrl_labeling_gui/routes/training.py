"""How the training goes: curves, and the agent's episodes from the start until now."""

from fastapi import FastAPI

from prefrl_labeling_gui.access import Person, Shared
from prefrl_labeling_gui.curves import read_curves
from prefrl_labeling_gui.messages import ShowcaseEntry, TrainingReply


def add_to(app: FastAPI) -> None:
    """Register the route."""
    app.get("/api/training")(training)


def training(context: Shared, person: Person) -> TrainingReply:
    """Return curves and episodes."""
    episodes = context.store.showcase() if context.training_view.run is not None else []
    return TrainingReply(
        curves=read_curves(context.settings.run / "log" / "metrics.jsonl"),
        showcase=[
            ShowcaseEntry(num_timesteps=num_timesteps, **context.clip(segment_id).model_dump())
            for num_timesteps, segment_id in episodes
        ],
    )
