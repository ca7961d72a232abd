"""One game as an endless task: restarts, penalties, lost lives, and what the environment hands out."""

from typing import Any

import gymnasium
import numpy as np
import pytest

from prefrl_envs.atari.env import AtariGame, rules_of
from prefrl_envs.atari.games import GAMES, Rectangle
from prefrl_envs.atari.screen import agent_frame
from prefrl_envs.rendering import StateRenderer
from prefrl_envs.simulator_state import SimulatorState


def make(**kwargs: Any) -> AtariGame:
    return AtariGame(**{"game": "pong"} | kwargs)


def test_a_game_that_ends_starts_anew_within_the_step_and_pays_the_penalty() -> None:
    env = make(game_over_penalty=-7.0)
    env.reset(seed=4)
    rewards = []
    while env.task_metrics()["games"] == 0:
        observation, reward, terminated, truncated, info = env.step(np.int64(0))
        rewards.append(reward)
        assert (terminated, truncated, info) == (False, False, {})
    assert rewards.count(-1.0) == 20  # who does nothing loses 21 to 0
    assert rewards[-1] == -1.0 - 7.0
    assert set(rewards) == {0.0, -1.0, -8.0}
    assert env.task_metrics() == {"score": -21.0, "games": 1.0}
    assert env.ale.getEpisodeFrameNumber() <= 31  # the no-ops of the next game
    np.testing.assert_array_equal(observation, agent_frame(env.ale.getScreenRGB(), env.rules.masks))
    for _ in range(100):
        env.step(np.int64(0))
    assert env.task_metrics() == {
        "score": -21.0,
        "games": 1.0,
    }  # a running game does not count beside an ended one
    env.reset()
    assert env.task_metrics() == {"score": 0.0, "games": 0.0}


def test_rewards_are_the_unclipped_score() -> None:
    env = make(game="qbert")
    env.reset(seed=0)
    env.action_space.seed(0)
    rewards = [env.step(env.action_space.sample())[1] for _ in range(250)]
    assert max(rewards) >= 25
    running = sum(r for r in rewards)
    assert env.task_metrics() == {"score": running, "games": 0.0}


def test_the_score_alone_is_counted_before_a_game_has_ended() -> None:
    env = make()
    env.reset(seed=0)
    total = sum(env.step(np.int64(0))[1] for _ in range(200))
    assert total < -2
    assert env.task_metrics() == {"score": total, "games": 0.0}


def test_breakout_goes_on_after_a_lost_life_whatever_the_agent_does() -> None:
    env = make(game="breakout")
    env.reset(seed=0)
    for _ in range(400):
        env.step(np.int64(0))  # never presses FIRE
    assert env.task_metrics()["games"] >= 2


def test_without_fire_breakout_would_wait_for_ever() -> None:
    env = make(game="breakout")
    env.rules = env.rules._replace(waits_for_fire=False)
    env.reset(seed=0)
    for _ in range(400):
        env.step(np.int64(0))
    assert env.task_metrics()["games"] == 0


def test_what_the_agent_sees_is_one_masked_frame() -> None:
    env = make()
    env.reset(seed=0)
    observation = env.step(np.int64(0))[0]
    assert env.observation_space == gymnasium.spaces.Box(0, 255, (84, 84, 1), np.uint8)
    assert env.observation_space.contains(observation)
    assert (observation[:8] == 0).all()  # rows 0 to 21 of 210
    assert (observation[9:] > 0).any()
    open_env = make(masks=[])
    open_env.reset(seed=0)
    assert (open_env.step(np.int64(0))[0][:8] > 0).any()


def test_the_frame_is_the_brighter_of_the_last_two() -> None:
    """Against gymnasium's own preprocessing, from the same state of the emulator."""
    from ale_py.env import AtariEnv
    from gymnasium.wrappers import AtariPreprocessing

    env = make(game="space_invaders", masks=[])
    env.reset(seed=0)
    reference: Any = AtariPreprocessing(
        AtariEnv("space_invaders", frameskip=1, repeat_action_probability=0.0),
        noop_max=0,
        screen_size=(160, 210),
        grayscale_obs=False,
    )
    reference.reset(seed=0)
    reference.ale.restoreState(env.ale.cloneState(include_rng=True))
    env.action_space.seed(0)
    for _ in range(120):
        action = env.action_space.sample()
        reward = env.step(action)[1]
        expected, expected_reward, over, _, _ = reference.step(action)
        assert not over
        np.testing.assert_array_equal(env._screen, expected)
        assert reward == expected_reward


@pytest.mark.parametrize("show_score", [False, True])
def test_a_redrawn_frame_is_the_live_one(show_score: bool) -> None:
    kwargs: dict[str, Any] = {"game": "breakout", "show_score": show_score}
    env = SimulatorState(gymnasium.make("prefrl/Atari-v0", render_mode="rgb_array", **kwargs))
    states, live = [env.reset(seed=0)[1]["render_state"]], [env.render()]
    env.action_space.seed(0)
    for _ in range(60):
        states.append(env.step(env.action_space.sample())[4]["render_state"])
        live.append(env.render())
    env.close()
    with StateRenderer("prefrl/Atari-v0", 320, 420, env_kwargs=kwargs) as renderer:
        np.testing.assert_array_equal(renderer.frames(np.array(states)), np.array(live))
        assert renderer.step_seconds == pytest.approx(1 / 15)
    drawn = np.array(live)
    assert (drawn[0] != drawn[-1]).any()
    assert (drawn[:, 8:32, 68:164] > 0).any() == show_score


def test_before_the_first_reset_the_state_has_its_shape() -> None:
    env = make()
    before = env.render_state()
    env.reset(seed=0)
    assert before.shape == env.render_state().shape
    assert before.dtype == np.uint8


def test_seeds_decide_a_whole_series_of_episodes() -> None:
    def screens(env: AtariGame, seed: int | None) -> list[bytes]:
        env.reset(seed=seed)
        for _ in range(60):
            env.step(np.int64(3))
        return [env._screen.tobytes(), env.simulator_arrays()["emulator"].tobytes()]

    env, other = make(), make()
    first, second = screens(env, 5), screens(env, None)
    assert first != second
    assert screens(other, 5) == first
    assert screens(other, None) == second
    assert screens(other, 6) != first
    unseeded = make()
    assert screens(unseeded, None) != screens(make(), None)


def test_an_episode_depends_on_nothing_in_the_one_before() -> None:
    env, other = make(game="breakout"), make(game="breakout")
    env.reset(seed=5)
    for _ in range(200):
        env.step(np.int64(0))
    other.reset(seed=5)
    env.reset()
    other.reset()
    for _ in range(50):
        one, two = env.step(np.int64(2)), other.step(np.int64(2))
        np.testing.assert_array_equal(one[0], two[0])
        assert one[1:] == two[1:]


@pytest.mark.parametrize(
    ("kwargs", "message"),
    [
        ({"game": "pongg"}, "Received 'pongg'; did you mean 'pong'"),
        ({"game": "MsPacman"}, "Received 'MsPacman'; did you mean 'ms_pacman'"),
        ({"masks": [(0, 0, 3, 4)]}, r"top < bottom and left < right. Received \(0, 0, 3, 4\)"),
        ({"masks": [(1, 2, 3)]}, "must be"),
        ({"masks": [(-1, 2, 3, 4)]}, "must be"),
        ({"game_over_penalty": 1.0}, "`game_over_penalty` must be at most 0. Received 1.0"),
        ({"game_over_penalty": float("nan")}, "`game_over_penalty` must be at most 0"),
        ({"noop_max": -1}, "`noop_max` must be at least 0. Received -1"),
    ],
)
def test_arguments_that_cannot_be_are_refused(kwargs: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        make(**kwargs)


def test_rules_are_those_known_unless_told_otherwise() -> None:
    assert rules_of("breakout") == GAMES["breakout"]
    assert rules_of("ms_pacman").masks == ()
    told = rules_of("breakout", [[1, 2, 3, 4]], -3)
    assert told.masks == (Rectangle(1, 2, 3, 4),)
    assert (told.game_over_penalty, told.waits_for_fire) == (-3.0, True)


def test_pong_has_no_penalty_and_every_other_game_has_one() -> None:
    assert {game for game, rules in GAMES.items() if rules.game_over_penalty == 0.0} == {"pong"}


def test_the_state_of_another_game_is_refused() -> None:
    env, other = make(), make(game="breakout")
    env.reset(seed=0)
    with pytest.raises(ValueError, match="damaged or not one of breakout"):
        other.restore_simulator(env.simulator_arrays())
