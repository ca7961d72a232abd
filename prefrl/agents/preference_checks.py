"""What `PreferenceLearning` is put together from, checked at once and not after some training."""

from math import ceil

from stable_baselines3.common.vec_env import VecEnv

from prefrl.agents.environments import frame_stack_of
from prefrl.errors import SettingError
from prefrl.feedback import People
from prefrl.feedback.teachers import check_gives
from prefrl.reward import RewardTrainer
from prefrl.segments import feedback_kind, space_to_json
from prefrl.settings import FeedbackSettings, RewardSettings
from prefrl.store import Store


def check_kinds(teacher: object, store: object, feedback: object) -> None:
    """Refuse what is taken for the object that is wanted, and would fail after some training.

    Raises:
        SettingError: A class or a path, say, was given.
    """
    if isinstance(teacher, type) or not (
        isinstance(teacher, People) or callable(getattr(teacher, "answer", None))
    ):
        raise SettingError(
            "`teacher` must be an object with a method `answer`, such as OracleTeacher(), or People(). Received "
            f"{teacher!r}."
        )
    if not isinstance(teacher, People) and not isinstance(getattr(teacher, "name", None), str):
        raise SettingError(f"`teacher` needs a `name`, under which its answers are stored. Received {teacher!r}.")
    if store is not None and not isinstance(store, Store):
        raise SettingError(f"`store` must be a Store, such as Store(Path(...)). Received {store!r}.")
    if not isinstance(feedback, FeedbackSettings):
        raise SettingError(f"`feedback` must be FeedbackSettings(...). Received {feedback!r}.")
    if not isinstance(teacher, People):
        check_gives(teacher, feedback_kind(feedback.kind))


def check_reward(venv: VecEnv, trainer: RewardTrainer) -> None:
    """Refuse a reward that was made for other environments, and a trainer that holds labels of its own.

    Labels go by their number in a store: a trainer that has some would mix them up with those of another store, or
    be given the same ones twice.

    Raises:
        SettingError: Spaces or the frames seen at once are others, or there are labels.
    """
    ensemble = trainer.ensemble
    if trainer.n_known:
        raise SettingError(
            f"`reward` holds {trainer.n_known} labels already, which belong to a store. Give `RewardTrainer("
            'trainer.ensemble)`, and the store with old_labels="continue" or "learn" where they count.'
        )
    own = (space_to_json(venv.observation_space), space_to_json(venv.action_space), frame_stack_of(venv))
    reads = (
        space_to_json(ensemble.observation_space),
        space_to_json(ensemble.action_space),
        ensemble.frame_stack,
    )
    for what, expected, found in zip(("observations", "actions", "stacked frames"), own, reads, strict=True):
        if expected != found:
            raise SettingError(
                f"`reward` was made for other {what} than these environments have. Expected {expected}. Received "
                f"{found}."
            )


def check_crops(settings: RewardSettings, segment_length: int) -> None:
    """Refuse crops of segments that are too short to be cut.

    Raises:
        SettingError: The shortest crop is the whole segment.
    """
    least, length = settings.crop_least, segment_length
    if least < 1 and ceil(least * length - 1e-9) >= length:
        raise SettingError(
            f"`crop_least` of {least} leaves segments of {length} steps whole. Make it smaller, or 1 for no "
            "crops, or segments longer (`segment_length`)."
        )
