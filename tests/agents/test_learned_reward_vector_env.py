"""Many environments in one call must be paid what each of them is paid by itself."""

from collections.abc import Callable, Sequence
from copy import deepcopy
from pathlib import Path
from typing import Any

import gymnasium as gym
import numpy as np
import numpy.typing as npt
import pytest
from gymnasium import spaces
from gymnasium.vector import AsyncVectorEnv, AutoresetMode, SyncVectorEnv, VectorEnv
from gymnasium.wrappers.vector import ClipAction, RecordEpisodeStatistics
from stable_baselines3.common.env_util import make_vec_env

from prefrl.agents import LearnedReward, LearnedRewardVectorEnv, RewardFn
from prefrl.errors import FaultyEnvError, RewardModelError, SettingError, SpaceError
from prefrl.reward import RewardEnsemble
from prefrl.settings import RewardSettings
from prefrl_envs.testing import EXAMPLE_SPACES, CountingEnv, SpacesEnv

FloatArray = npt.NDArray[np.float32]
Make = Callable[[], gym.Env[Any, Any]]
MODES = list(AutoresetMode)


def both_and_the_action(before: Any, actions: npt.NDArray[Any], after: Any) -> FloatArray:
    """Each of the three has decimal places of its own."""
    return np.asarray(before[:, 0] + 100 * after[:, 0] + 0.1 * actions[:, 0], dtype=np.float32)


class Ending(gym.Wrapper[Any, Any, Any, Any]):
    """Ends episodes after so many steps, one after the other; every second one by termination."""

    def __init__(self, env: gym.Env[Any, Any], lengths: Sequence[int]) -> None:
        super().__init__(env)
        self.lengths, self.n_episodes, self.n_steps = lengths, 0, 0

    def reset(self, **kwargs: Any) -> Any:
        self.n_episodes, self.n_steps = self.n_episodes + 1, 0
        return self.env.reset(**kwargs)

    def step(self, action: Any) -> Any:
        observation, reward, _, _, info = self.env.step(action)
        self.n_steps += 1
        ends = self.n_steps == self.lengths[self.n_episodes % len(self.lengths)]
        terminates = self.n_episodes % 2 == 0
        return observation, reward, ends and terminates, ends and not terminates, info


def makers(observation: str, action: str) -> list[Make]:
    """Three environments whose episodes end at different steps, and now and then together."""

    def make(lengths: Sequence[int]) -> gym.Env[Any, Any]:
        own = deepcopy((EXAMPLE_SPACES[observation], EXAMPLE_SPACES[action]))
        return Ending(SpacesEnv(*own, length=1000), lengths)

    return [lambda lengths=lengths: make(lengths) for lengths in ([3], [1, 5], [4, 2, 3])]  # type: ignore[misc]


def one_by_one(
    made: Sequence[Make], reward: RewardFn, actions: Sequence[Any], mode: AutoresetMode
) -> tuple[list[list[float]], list[list[float | None]]]:
    """Return learned and true rewards of a loop that knows nothing of batches; None where nothing was done."""
    envs = [LearnedReward(make(), reward) for make in made]
    for seed, env in enumerate(envs):
        env.reset(seed=seed)
    over = [False] * len(envs)
    learned: list[list[float]] = []
    true: list[list[float | None]] = []
    for batch in actions:
        learned.append([0.0] * len(envs))
        true.append([None] * len(envs))
        for index, env in enumerate(envs):
            if over[index]:  # in NEXT_STEP mode only
                env.reset()
                over[index] = False
                continue
            _, paid, terminated, truncated, info = env.step(batch[index])
            learned[-1][index], true[-1][index] = float(paid), info["env_reward"]
            over[index] = terminated or truncated
            if over[index] and mode is not AutoresetMode.NEXT_STEP:
                env.reset()
                over[index] = False
    return learned, true


def together(
    envs: VectorEnv[Any, Any, Any], actions: Sequence[Any], mode: AutoresetMode
) -> tuple[list[list[float]], list[list[float | None]]]:
    learned: list[list[float]] = []
    true: list[list[float | None]] = []
    envs.reset(seed=0)
    for batch in actions:
        _, rewards, terminated, truncated, infos = envs.step(np.asarray(batch))
        learned.append(rewards.tolist())
        masked = zip(infos["env_reward"].tolist(), infos["_env_reward"], strict=True)
        true.append([value if meant else None for value, meant in masked])
        ended = terminated | truncated
        if mode is AutoresetMode.DISABLED and ended.any():
            envs.reset(options={"reset_mask": ended})
    return learned, true


@pytest.mark.parametrize("mode", MODES, ids=lambda mode: mode.name)
@pytest.mark.parametrize("copy", [True, False], ids=["copies", "own_memory"])
@pytest.mark.parametrize(
    ("observation", "action"), [("box", "box"), ("dict", "discrete"), ("discrete", "multi-discrete")]
)
def test_each_is_paid_what_it_is_paid_by_itself(
    mode: AutoresetMode, copy: bool, observation: str, action: str
) -> None:
    kinds = deepcopy(EXAMPLE_SPACES[observation]), deepcopy(EXAMPLE_SPACES[action])
    settings = RewardSettings(hidden_sizes=(8,), next_observation=True)
    ensemble = RewardEnsemble(*kinds, settings=settings)
    ensemble.set_output_moments(np.zeros(3), np.full(3, 0.1))
    kinds[1].seed(0)
    actions = [[kinds[1].sample() for _ in range(3)] for _ in range(25)]
    made = makers(observation, action)
    envs = LearnedRewardVectorEnv(SyncVectorEnv(made, copy=copy, autoreset_mode=mode), ensemble.predict)
    learned, true = together(envs, actions, mode)
    expected, expected_true = one_by_one(made, ensemble.predict, actions, mode)
    np.testing.assert_allclose(learned, expected, atol=1e-5)
    assert true == expected_true
    assert np.std(learned) > 0.1  # else this would say nothing
    assert any(None in row for row in true) == (mode is AutoresetMode.NEXT_STEP)


def test_environments_in_processes_of_their_own_are_paid_alike() -> None:
    made = makers("box", "box")
    space = deepcopy(EXAMPLE_SPACES["box"])
    space.seed(0)
    actions = [[space.sample() for _ in range(3)] for _ in range(12)]
    mode = AutoresetMode.SAME_STEP
    envs = LearnedRewardVectorEnv(AsyncVectorEnv(made, autoreset_mode=mode), both_and_the_action)
    try:
        learned, true = together(envs, actions, mode)
    finally:
        envs.close()
    expected, expected_true = one_by_one(made, both_and_the_action, actions, mode)
    np.testing.assert_allclose(learned, expected, rtol=1e-6)
    assert true == expected_true


def test_a_step_that_only_resets_is_not_shown_to_the_reward() -> None:
    seen: list[tuple[list[float], list[float], list[float]]] = []

    def note(before: Any, actions: Any, after: Any) -> FloatArray:
        seen.append((before[:, 0].tolist(), actions[:, 0].tolist(), after[:, 0].tolist()))
        return np.ones(len(actions), dtype=np.float32)

    made: list[Make] = [lambda: CountingEnv((2,)), lambda: CountingEnv((3,), terminates=True)]
    envs = LearnedRewardVectorEnv(SyncVectorEnv(made), note)
    envs.reset(seed=0)
    steps = [envs.step(np.array([[0.1 * step], [-0.1 * step]], dtype=np.float32)) for step in range(6)]
    assert [rewards.tolist() for _, rewards, *_ in steps] == [[1, 1], [1, 1], [0, 1], [1, 0], [1, 1], [0, 1]]
    assert [before for before, *_ in seen] == [[0, 0], [1, 1], [2], [0], [1, 0], [1]]
    assert [after for *_, after in seen] == [[1, 1], [2, 2], [3], [1], [2, 1], [2]]
    np.testing.assert_allclose(np.concatenate([a for _, a, _ in seen])[4:7], [-0.2, 0.3, 0.4], rtol=1e-6)


def test_where_all_only_reset_the_reward_is_not_asked() -> None:
    def refuse_nothing(before: Any, actions: Any, after: Any) -> FloatArray:
        assert len(actions) == 2
        return np.ones(2, dtype=np.float32)

    envs = LearnedRewardVectorEnv(SyncVectorEnv([lambda: CountingEnv((1,))] * 2), refuse_nothing)
    envs.reset(seed=0)
    rewards = [envs.step(np.zeros((2, 1), dtype=np.float32))[1].tolist() for _ in range(3)]
    assert rewards == [[1, 1], [0, 0], [1, 1]]


def test_a_reset_in_the_middle_of_episodes_begins_them_anew() -> None:
    """Also right after an end, where the next step is then a transition."""
    envs = LearnedRewardVectorEnv(SyncVectorEnv([lambda: CountingEnv((2,))] * 2), both_and_the_action)
    nothing = np.zeros((2, 1), dtype=np.float32)
    envs.reset(seed=0)
    assert envs.step(nothing)[1].tolist() == [100, 100]
    envs.reset()
    assert envs.step(nothing)[1].tolist() == [100, 100]
    assert envs.step(nothing)[1].tolist() == [201, 201]
    envs.reset(options={"reset_mask": np.array([True, False])})
    *_, infos = result = envs.step(nothing)
    assert result[1].tolist() == [100, 0]
    assert infos["_env_reward"].tolist() == [True, False]


def test_what_a_masked_reset_leaves_alone_keeps_its_observation() -> None:
    class Forgetful(gym.vector.VectorWrapper):
        """Hands out nothing of the environments that are not reset."""

        def reset(self, *, seed: int | None = None, options: dict[str, Any] | None = None) -> Any:
            mask = (options or {}).get("reset_mask")
            observations, infos = self.env.reset(seed=seed, options=options)
            if mask is not None:
                observations[~mask] = -1000.0
            return observations, infos

    inner = SyncVectorEnv([lambda: CountingEnv((5,))] * 2, autoreset_mode=AutoresetMode.DISABLED)
    envs = LearnedRewardVectorEnv(Forgetful(inner), both_and_the_action)
    nothing = np.zeros((2, 1), dtype=np.float32)
    envs.reset(seed=0)
    envs.step(nothing)
    mask = np.array([False, True])
    options = {"reset_mask": mask}
    envs.reset(options=options)
    assert envs.step(nothing)[1].tolist() == [201, 100]


def test_the_last_observation_may_come_as_one_array_for_all() -> None:
    """As from simulators that step environments together; Dicts as a dict of arrays."""

    class InOne(gym.vector.VectorWrapper):
        def step(self, actions: Any) -> Any:
            observations, rewards, terminated, truncated, infos = self.env.step(actions)
            if "final_obs" in infos:
                rows = [row or dict.fromkeys(observations, 0) for row in infos["final_obs"]]
                infos["final_obs"] = {
                    key: np.stack([np.broadcast_to(row[key], observations[key].shape[1:]) for row in rows])
                    for key in observations
                }
            return observations, rewards, terminated, truncated, infos

    def reward(before: Any, actions: Any, after: Any) -> FloatArray:
        return np.asarray(before["speed"][:, 0] + 10 * after["gear"] + 100 * after["speed"][:, 1], np.float32)

    made, mode = makers("dict", "discrete"), AutoresetMode.SAME_STEP
    envs = LearnedRewardVectorEnv(InOne(SyncVectorEnv(made, autoreset_mode=mode)), reward)
    actions = [[2, 3, 4]] * 12
    expected, _ = one_by_one(made, reward, actions, mode)
    np.testing.assert_allclose(together(envs, actions, mode)[0], expected, rtol=1e-5)


def test_statistics_from_below_are_those_of_the_true_reward() -> None:
    made: list[Make] = [lambda: CountingEnv((3,)), lambda: CountingEnv((4,))]
    envs = LearnedRewardVectorEnv(RecordEpisodeStatistics(SyncVectorEnv(made)), both_and_the_action)
    envs.reset(seed=0)
    returns = []
    for _ in range(4):
        *_, infos = envs.step(np.zeros((2, 1), dtype=np.float32))
        if "episode" in infos:
            returns += infos["episode"]["r"][infos["_episode"]].tolist()
    assert returns == [10 * (0 + 1 + 2), 10 * (0 + 1 + 2 + 3)]


def test_rewards_are_not_rounded_to_what_the_environments_count_in() -> None:
    class Whole(gym.vector.VectorWrapper):
        def step(self, actions: Any) -> Any:
            observations, rewards, *rest = self.env.step(actions)
            return observations, rewards.astype(np.int64), *rest

    envs = LearnedRewardVectorEnv(Whole(SyncVectorEnv([CountingEnv])), both_and_the_action)
    envs.reset(seed=0)
    _, rewards, *_, infos = envs.step(np.array([[0.5]], dtype=np.float32))
    assert rewards == pytest.approx([100.05])
    assert rewards.dtype == np.float64
    assert infos["env_reward"].dtype == np.int64


def test_the_infos_of_the_environments_are_left_as_they_were() -> None:
    given: list[dict[str, Any]] = []

    class Remember(gym.vector.VectorWrapper):
        def step(self, actions: Any) -> Any:
            result = self.env.step(actions)
            given.append(result[4])
            return result

    envs = LearnedRewardVectorEnv(Remember(SyncVectorEnv([CountingEnv])), both_and_the_action)
    envs.reset(seed=0)
    envs.step(np.zeros((1, 1), dtype=np.float32))
    assert given == [{}]


# --- what cannot be -----------------------------------------------------------------------------------------


def test_a_single_environment_and_a_vecenv_are_refused() -> None:
    with pytest.raises(SettingError, match=r"gymnasium\.make_vec.*Received CountingEnv; LearnedReward is for"):
        LearnedRewardVectorEnv(CountingEnv(), both_and_the_action)  # type: ignore[arg-type]
    with pytest.raises(SettingError, match="Received DummyVecEnv"):
        LearnedRewardVectorEnv(make_vec_env(CountingEnv), both_and_the_action)  # type: ignore[arg-type]


def test_environments_that_do_not_say_how_they_reset_are_refused() -> None:
    envs = SyncVectorEnv([CountingEnv])
    del envs.metadata["autoreset_mode"]
    with pytest.raises(SettingError, match=r"autoreset_mode.*Received SyncVectorEnv without it"):
        LearnedRewardVectorEnv(envs, both_and_the_action)


def test_an_end_without_its_last_observation_is_told() -> None:
    class Drops(gym.vector.VectorWrapper):
        def step(self, actions: Any) -> Any:
            *result, _ = self.env.step(actions)
            return *result, {}

    inner = SyncVectorEnv([lambda: CountingEnv((2,))], autoreset_mode=AutoresetMode.SAME_STEP)
    envs = LearnedRewardVectorEnv(Drops(inner), both_and_the_action)
    envs.reset(seed=0)
    envs.step(np.zeros((1, 1), dtype=np.float32))
    with pytest.raises(FaultyEnvError, match="final_obs"):
        envs.step(np.zeros((1, 1), dtype=np.float32))


def test_spaces_that_no_reward_reads_are_refused() -> None:
    pair = spaces.Tuple([spaces.Discrete(2), spaces.Discrete(2)])
    for kinds in ((pair, EXAMPLE_SPACES["box"]), (EXAMPLE_SPACES["box"], pair)):
        envs = SyncVectorEnv([lambda kinds=kinds: SpacesEnv(*kinds)])  # type: ignore[misc]
        with pytest.raises(SpaceError, match=r"observation space|action space"):
            LearnedRewardVectorEnv(envs, both_and_the_action)


def test_a_saved_model_pays_and_must_be_of_these_spaces(tmp_path: Path) -> None:
    box = EXAMPLE_SPACES["box"]
    ensemble = RewardEnsemble(box, box, settings=RewardSettings(hidden_sizes=(8,)))
    ensemble.set_output_moments(np.zeros(3), np.ones(3))
    ensemble.save(tmp_path)
    made = makers("box", "box")
    envs = LearnedRewardVectorEnv(SyncVectorEnv(made), reward_model=tmp_path)
    before, _ = envs.reset(seed=0)
    actions = np.full((3, 3), 0.5, dtype=np.float32)
    after, rewards, *_ = envs.step(actions)
    np.testing.assert_array_equal(rewards, ensemble.predict(before, actions, after))
    with pytest.raises(RewardModelError, match="other actions"):
        LearnedRewardVectorEnv(SyncVectorEnv(makers("box", "discrete")), reward_model=tmp_path)
    with pytest.raises(RewardModelError, match="other observations"):
        LearnedRewardVectorEnv(SyncVectorEnv(makers("box-2d", "box")), reward_model=tmp_path)
    with pytest.raises(SettingError, match="Put what clips actions around"):
        LearnedRewardVectorEnv(ClipAction(SyncVectorEnv(made)), reward_model=tmp_path)
    ClipAction(LearnedRewardVectorEnv(SyncVectorEnv(made), reward_model=tmp_path))
