"""The learned reward and the labels as parts of a checkpoint, by the methods they had before they were parts."""

from prefrl.agents import LearnedRewardVecEnv, PreferenceLearning
from prefrl.parts import Arrays, Json, State


class SavedRewardedEnvironments:
    """Episodes under way: latest observations, running returns, task metrics."""

    def __init__(self, rewarded: LearnedRewardVecEnv) -> None:
        self._rewarded = rewarded

    def state(self) -> State:
        """Return it all."""
        last = self._rewarded.last_observations
        named = last if isinstance(last, dict) else {"": last}
        arrays = {f"observations.{key}": value for key, value in named.items()}
        if self._rewarded.render_states is not None:
            arrays["render_states"] = self._rewarded.render_states
        return arrays, self._rewarded.state_dict()

    def restore(self, arrays: Arrays, values: Json) -> None:
        """Continue in the middle of episodes."""
        named = _of("observations", arrays)
        self._rewarded.load_state_dict(values, named.get("", named), arrays.get("render_states"))


class SavedPreferences:
    """Recorder, reward, trainer, and how far asking has come."""

    def __init__(self, preferences: PreferenceLearning) -> None:
        self._preferences = preferences

    def state(self) -> State:
        """Return it all."""
        preferences = self._preferences
        trainer_arrays, trainer_values = preferences.trainer.state_dict()
        arrays: Arrays = {}
        for name, own in (
            ("recorder", preferences.recorder.state_dict()),
            ("reward", preferences.reward_model.state_arrays()),
            ("trainer", trainer_arrays),
        ):
            arrays |= {f"{name}.{key}": array for key, array in own.items()}
        values = {
            "trainer": trainer_values,
            "preferences": preferences.state_dict(),
            "reward_fitted": preferences.reward_model.fitted,
        }
        return arrays, values

    def restore(self, arrays: Arrays, values: Json) -> None:
        """Continue; the comparisons come from the store."""
        preferences = self._preferences
        preferences.recorder.load_state_dict(_of("recorder", arrays))
        preferences.reward_model.load_state_arrays(_of("reward", arrays))
        preferences.reward_model.fitted = values["reward_fitted"]
        preferences.load_state_dict(values["preferences"])
        known = preferences.store.comparisons_at([int(seq) for seq in arrays["trainer.seqs"]])
        preferences.trainer.load_state_dict(_of("trainer", arrays), values["trainer"], known)


def _of(prefix: str, arrays: Arrays) -> Arrays:
    start = f"{prefix}."
    return {name.removeprefix(start): array for name, array in arrays.items() if name.startswith(start)}
