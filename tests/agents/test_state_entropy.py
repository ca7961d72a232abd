"""What pays before the first labels: being far from all that was observed; then critics begin anew."""

import json
from collections.abc import Callable
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
import torch
from gymnasium import spaces
from sb3_contrib import TQC, CrossQ, RecurrentPPO
from stable_baselines3 import A2C, DQN, PPO, SAC, TD3
from stable_baselines3.common.base_class import BaseAlgorithm
from stable_baselines3.common.callbacks import BaseCallback
from stable_baselines3.common.env_util import make_vec_env
from stable_baselines3.common.off_policy_algorithm import OffPolicyAlgorithm
from stable_baselines3.common.on_policy_algorithm import OnPolicyAlgorithm
from stable_baselines3.common.torch_layers import BaseFeaturesExtractor
from stable_baselines3.common.vec_env import VecEnv

from prefrl.agents import PreferenceLearning, critics, state_entropy
from prefrl.agents.critics import reset_critic
from prefrl.agents.replay import Replay
from prefrl.agents.state_entropy import StateEntropy
from prefrl.errors import SettingError, SpaceError
from prefrl.feedback import OracleTeacher
from prefrl.settings import FeedbackSettings, RewardSettings
from prefrl_envs.testing import EXAMPLE_SPACES, SpacesEnv

FloatArray = npt.NDArray[Any]
NUMBERS = spaces.Box(-9, 9, (3,), np.float32)


def by_hand(kept: FloatArray, asked: FloatArray, neighbour: int) -> FloatArray:
    """Each one's distance to its neighbour, one by one; the nearest of all is itself."""
    return np.array([sorted(float(np.linalg.norm(one - other)) for other in kept)[neighbour] for one in asked])


def test_pay_is_the_distance_to_the_fifth_neighbour() -> None:
    rng = np.random.default_rng(0)
    kept = rng.normal(size=(40, 3)).astype(np.float32) * [1, 2, 5]
    entropy = StateEntropy(NUMBERS)
    for number in range(0, 40, 4):
        entropy.pay(kept[number : number + 4].astype(np.float32))
    distances = by_hand(kept, kept, 5)
    said = entropy.predict(kept.astype(np.float32))
    np.testing.assert_allclose(said / said[0], distances / distances[0], rtol=1e-5)


def test_the_scale_is_the_running_deviation_of_all_distances() -> None:
    rng = np.random.default_rng(1)
    entropy = StateEntropy(NUMBERS)
    steps = [rng.normal(size=(2, 3)).astype(np.float32) for _ in range(300)]
    kept: list[FloatArray] = []
    paid, distances = [], []
    for step in steps:
        kept += list(step)
        paid.append(entropy.pay(step))
        distances.append(by_hand(np.array(kept), step, min(5, len(kept) - 1)))
    np.testing.assert_allclose(paid[-1], distances[-1] / np.std(distances), rtol=0.01)
    assert paid[-1].dtype == np.float32


def test_what_is_new_is_worth_more_than_what_is_known() -> None:
    entropy = StateEntropy(NUMBERS)
    rng = np.random.default_rng(2)
    for _ in range(50):
        entropy.pay(rng.normal(size=(4, 3)).astype(np.float32))
    known, new = entropy.pay(np.array([[0, 0, 0], [6, 6, 6]], dtype=np.float32))
    assert new > 5 * known > 0


def test_the_first_steps_of_all_can_be_paid() -> None:
    entropy = StateEntropy(NUMBERS)
    assert entropy.pay(np.ones((1, 3), dtype=np.float32)) == [0.0]
    assert np.isfinite(entropy.pay(np.zeros((1, 3), dtype=np.float32))).all()


def test_only_the_latest_are_kept(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(state_entropy, "KEPT", 10)
    monkeypatch.setattr(state_entropy, "ROWS", 3)
    rng = np.random.default_rng(3)
    observed = rng.normal(size=(14, 3)).astype(np.float32)
    entropy = StateEntropy(NUMBERS)
    for one in observed:
        entropy.pay(one[None])
    distances, said = by_hand(observed[-10:], observed[-10:], 5), entropy.predict(observed[-10:])
    np.testing.assert_allclose(said / said[0], distances / distances[0], rtol=1e-5)


@pytest.mark.parametrize("observed", ["dict", "discrete", "multi-discrete", "box-2d"])
def test_any_numbers_can_be_compared(observed: str) -> None:
    space = spaces.Discrete(4) if observed == "discrete" else EXAMPLE_SPACES[observed]
    venv = make_vec_env(lambda: SpacesEnv(space, spaces.Discrete(2)), n_envs=3, seed=0)
    entropy = StateEntropy(venv.observation_space)
    assert entropy.pay(venv.reset()).shape == (3,)


def test_images_are_refused() -> None:
    with pytest.raises(SpaceError, match=r"at most 4,096 numbers.*Received 7,056 in Box"):
        StateEntropy(spaces.Box(0, 255, (84, 84, 1), np.uint8))


def test_state_goes_through_json_and_on(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(state_entropy, "KEPT", 16)
    rng = np.random.default_rng(4)
    first, other = StateEntropy(NUMBERS), StateEntropy(NUMBERS)
    for _ in range(11):
        first.pay(rng.normal(size=(2, 3)).astype(np.float32))
    arrays, values = first.state()
    other.restore({name: array.copy() for name, array in arrays.items()}, json.loads(json.dumps(values)))
    for _ in range(5):
        step = rng.normal(size=(2, 3)).astype(np.float32)
        np.testing.assert_array_equal(other.pay(step), first.pay(step))


# --- in a training ----------------------------------------------------------------------------------------


class Watch(BaseCallback):
    """Takes note of what the agent is paid, and when it is first paid by labels."""

    def __init__(self, prefs: PreferenceLearning) -> None:
        super().__init__()
        self.prefs = prefs
        self.before: list[FloatArray] = []
        self.seen: list[FloatArray] = []

    def _on_step(self) -> bool:
        if self.prefs.is_pretraining:
            self.before.append(self.locals["rewards"].copy())
        return True


def learning(venv: VecEnv, pretraining: Any = "state-entropy", **changes: Any) -> PreferenceLearning:
    return PreferenceLearning(
        venv,
        teacher=OracleTeacher(),
        n_labels=12,
        seed=changes.pop("seed", 0),
        feedback=FeedbackSettings(
            pretraining=pretraining, segment_length=4, initial_timesteps=128, labels_per_round=6, recorder_steps=60
        ),
        reward=RewardSettings(hidden_sizes=(8,), first_epochs=2, epochs=1),
        **changes,
    )


def worlds(acted: Any = None) -> VecEnv:
    acted = spaces.Box(-1, 1, (2,), np.float32) if acted is None else acted
    return make_vec_env(lambda: SpacesEnv(EXAMPLE_SPACES["box"], acted, length=9), n_envs=2, seed=0)


def agent(kind: Any, venv: VecEnv) -> BaseAlgorithm:
    own: dict[str, Any] = {"n_steps": 32}
    if issubclass(kind, OffPolicyAlgorithm):
        own = {"learning_starts": 20, "batch_size": 4, "train_freq": 8, "buffer_size": 5000}
    policy = "MlpLstmPolicy" if kind is RecurrentPPO else "MlpPolicy"
    model: BaseAlgorithm = kind(policy, venv, seed=0, device="cpu", policy_kwargs={"net_arch": [8]}, **own)
    return model


@pytest.mark.parametrize("kind", [PPO, SAC])
def test_novelty_pays_until_the_first_labels_are_learned(kind: Any) -> None:
    prefs = learning(worlds())
    model, watch = agent(kind, prefs.venv), Watch(prefs)
    model.learn(1024, callback=[prefs.callback(), watch])
    paid = np.array(watch.before)
    assert len(paid) >= 64  # 128 steps of two environments, and no more than a look later
    assert len(paid) <= 256
    assert (paid[10:] > 0).all()
    assert 0.2 < paid[30:].std() < 5
    assert not prefs.is_pretraining
    assert prefs.labels.n_labels == 12


def test_without_it_nothing_pays() -> None:
    prefs = learning(worlds(), "none")
    watch = Watch(prefs)
    agent(PPO, prefs.venv).learn(256, callback=[prefs.callback(), watch])
    assert watch.before == []


def test_what_is_kept_is_paid_what_it_is_worth_now() -> None:
    """What was new once is not new any more."""
    prefs = learning(worlds())
    model = agent(SAC, prefs.venv)
    assert isinstance(model, SAC)
    prefs.plan(2048)
    model.learn(112, callback=prefs.callback())
    assert prefs.is_pretraining
    buffer = model.replay_buffer
    assert buffer is not None
    at_once = buffer.rewards[:56].copy()
    model.learn(0, callback=prefs.callback(), reset_num_timesteps=False)
    observed = buffer.observations[:56].reshape(-1, *buffer.observations.shape[2:])
    np.testing.assert_allclose(
        buffer.rewards[:56].ravel(), prefs.reward_now(observed, np.empty(0), None), rtol=1e-6
    )
    assert buffer.rewards[8:32].mean() < at_once[8:32].mean()


def test_novelty_is_paid_anew_at_every_look(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("prefrl.agents.callback.LOOK_EVERY", 16)
    prefs = learning(worlds())
    prefs.plan(2048)
    model, watch = agent(SAC, prefs.venv), Watch(prefs)
    assert isinstance(model, SAC)
    model.learn(112, callback=[prefs.callback(), watch])
    assert prefs.is_pretraining
    assert model.replay_buffer is not None
    now, at_once = model.replay_buffer.rewards[:56], np.array(watch.before)
    assert (now[4:24] < at_once[4:24] - 0.01).mean() > 0.5
    np.testing.assert_array_equal(now[48:], at_once[48:])  # since the latest look


@pytest.mark.parametrize("kind", [PPO, A2C, SAC])
def test_a_stop_before_the_first_labels_changes_nothing(kind: Any) -> None:
    whole = learning(worlds())
    whole.plan(1024)
    agent(kind, whole.venv).learn(96, callback=whole.callback())
    arrays, values = whole.state()
    again = learning(worlds(), seed=5, store=whole.store, old_labels="replay")
    again.plan(1024)
    assert whole.is_pretraining
    observed = np.zeros((2, *whole.venv.observation_space.shape), dtype=np.float32)  # type: ignore[misc]
    again.restore({name: array.copy() for name, array in arrays.items()}, json.loads(json.dumps(values)))
    before, after = (prefs.reward_now(observed, np.empty(0), None) for prefs in (whole, again))
    np.testing.assert_array_equal(before, after)
    assert (before > 0).all()


@pytest.mark.parametrize("kind", [PPO, SAC])
def test_an_agent_that_was_never_paid_for_novelty_keeps_its_critic(
    kind: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It was trained elsewhere, and the labels of a run before are learned before its first step here."""
    resets: list[Any] = []
    monkeypatch.setattr("prefrl.agents.callback.reset_critic", lambda *arguments: resets.append(arguments))
    before = learning(worlds(), "none")
    agent(PPO, before.venv).learn(1024, callback=before.callback())
    prefs = learning(worlds(), store=before.store, old_labels="learn")
    agent(kind, prefs.venv).learn(512, callback=prefs.callback())
    assert prefs.reward_model.fitted
    assert resets == []


def test_what_was_kept_before_anything_was_seen_is_worth_nothing_yet() -> None:
    elsewhere = agent(SAC, worlds())
    elsewhere.learn(200)
    prefs = learning(worlds())
    model = agent(SAC, prefs.venv)
    assert isinstance(model, SAC)
    assert isinstance(elsewhere, SAC)
    model.replay_buffer = elsewhere.replay_buffer
    prefs.plan(2048)
    model.learn(48, callback=prefs.callback())
    assert model.replay_buffer is not None
    assert (model.replay_buffer.rewards[:100] == 0).all()


def test_another_word_is_an_error() -> None:
    with pytest.raises(SettingError, match=r"must be none or state-entropy\. Received 'curiosity'"):
        learning(worlds(), "curiosity")


# --- critics ----------------------------------------------------------------------------------------------

CRITICS = {
    PPO: ("mlp_extractor.value_net", "value_net"),
    RecurrentPPO: ("lstm_critic", "mlp_extractor.value_net", "value_net"),
    A2C: ("mlp_extractor.value_net", "value_net"),
    SAC: ("critic.", "critic_target."),
    TD3: ("critic.", "critic_target."),
    TQC: ("critic.", "critic_target."),
    CrossQ: ("critic.",),
    DQN: (),
}


def weights(model: BaseAlgorithm) -> dict[str, torch.Tensor]:
    return {name: value.clone() for name, value in model.policy.named_parameters()}


@pytest.mark.parametrize("kind", CRITICS)
def test_only_the_critic_begins_anew(kind: Any) -> None:
    venv = worlds(spaces.Discrete(3) if kind is DQN else None)
    model = agent(kind, venv)
    model.learn(256)
    before = weights(model)
    model.learning_starts = 1000  # type: ignore[attr-defined]  # so that nothing is trained yet
    torch.manual_seed(3)
    drawn = torch.rand(1)
    torch.manual_seed(3)
    reset_critic(model, seed=7)  # type: ignore[arg-type]
    assert torch.rand(1) == drawn, "no global generator is touched"
    after = weights(model)
    changed = {name for name in before if not torch.equal(before[name], after[name])}
    of_critic = {name for name in before if name.startswith(CRITICS[kind])} if CRITICS[kind] else set()
    assert changed <= of_critic
    assert {name for name in of_critic if name.endswith("weight")} - changed <= {
        name for name in of_critic if "norm" in name or "bn" in name.lower() or before[name].dim() == 1
    }
    again = agent(kind, venv)
    again.learn(256)
    again.learning_starts = 1000  # type: ignore[attr-defined]
    reset_critic(again, seed=7)  # type: ignore[arg-type]
    assert all(torch.equal(after[name], value) for name, value in weights(again).items())


@pytest.mark.parametrize("kind", [PPO, SAC, TD3])
def test_a_fresh_critic_has_no_momentum(kind: Any) -> None:
    model = agent(kind, worlds())
    model.learn(256)
    model.learning_starts = 1000  # type: ignore[attr-defined]
    reset_critic(model, seed=0)  # type: ignore[arg-type]
    policy: Any = model.policy
    if isinstance(model, OnPolicyAlgorithm):
        own, other = policy.value_net.parameters(), policy.action_net.parameters()
        optimizers = (policy.optimizer, policy.optimizer)
    else:
        own, other = policy.critic.parameters(), policy.actor.parameters()
        optimizers = (policy.critic.optimizer, policy.actor.optimizer)
    assert all(parameter not in optimizers[0].state for parameter in own)
    assert any(parameter in optimizers[1].state for parameter in other)


class Extractor(BaseFeaturesExtractor):
    """Features with weights of their own."""

    def __init__(self, observation_space: Any) -> None:
        super().__init__(observation_space, 8)
        self.layer = torch.nn.Linear(observation_space.shape[0], 8)

    def forward(self, observations: torch.Tensor) -> torch.Tensor:
        return torch.tanh(self.layer(observations))


def tensors(model: BaseAlgorithm) -> dict[str, torch.Tensor]:
    """All there are, those that are shared by each of their names."""
    return {name: tensor.clone() for name, tensor in model.policy.state_dict().items()}


@pytest.mark.parametrize("shared", [True, False])
@pytest.mark.parametrize("kind", [PPO, SAC, TD3])
def test_what_acts_stays_and_all_that_only_judges_begins_anew(kind: Any, shared: bool) -> None:
    features = {"features_extractor_class": Extractor, "share_features_extractor": shared}
    model = kind("MlpPolicy", worlds(), seed=0, device="cpu", policy_kwargs=features)
    model.learning_starts = 1000
    if kind is TD3:  # whose targets lag behind
        for tensor in model.policy.actor_target.state_dict().values():
            tensor.mul_(1.1)
    seen = model.observation_space.sample()[None]
    acted, before = model.predict(seen, deterministic=True)[0], tensors(model)
    reset_critic(model, seed=7)
    np.testing.assert_array_equal(model.predict(seen, deterministic=True)[0], acted)
    after = tensors(model)
    critic = "vf_features_extractor.layer.weight" if kind is PPO else "critic.features_extractor.layer.weight"
    assert torch.equal(before[critic], after[critic]) == shared
    value = "value_net.weight" if kind is PPO else "critic.qf0.0.weight"
    assert not torch.equal(before[value], after[value])
    for name in after:
        if name.startswith("critic.") and not (kind is TD3 and "features" in name):  # TD3's is the target actor's
            assert torch.equal(after[name], after[name.replace("critic.", "critic_target.", 1)]), name
        if name.startswith("actor"):
            assert torch.equal(after[name], before[name]), name


@pytest.mark.parametrize("saves", [False, True])
def test_a_stop_while_the_replay_is_paid_anew_leaves_the_critic_to_be_reset(
    saves: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    resets: list[int] = []
    monkeypatch.setattr("prefrl.agents.callback.reset_critic", lambda model, seed: resets.append(seed))
    relabel = Replay.relabel

    def stopped(replay: Replay, reward: Any) -> None:
        if prefs.reward_model.fitted:
            raise KeyboardInterrupt
        relabel(replay, reward)

    prefs = learning(worlds())
    prefs.plan(1024)
    model = agent(SAC, prefs.venv)
    monkeypatch.setattr(Replay, "relabel", stopped)
    with pytest.raises(KeyboardInterrupt):
        model.learn(1024, callback=prefs.callback())
    monkeypatch.setattr(Replay, "relabel", relabel)
    assert prefs.reward_model.fitted
    assert resets == []
    if saves:
        arrays, values = prefs.state()
        prefs = learning(worlds(), store=prefs.store, old_labels="replay")
        prefs.plan(1024)
        prefs.restore({name: array.copy() for name, array in arrays.items()}, json.loads(json.dumps(values)))
        model.set_env(prefs.venv)
    model.learn(512, callback=prefs.callback(), reset_num_timesteps=False)
    assert len(resets) == 1


@pytest.mark.parametrize("kind", [PPO, SAC])
def test_it_happens_once_with_the_first_labels(kind: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    at: list[tuple[int, int]] = []
    reset: Callable[..., None] = critics.reset_critic

    def spied(model: Any, seed: int) -> None:
        n_updates = model._n_updates
        reset(model, seed)
        at.append((prefs.labels.n_labels, model._n_updates - n_updates))

    monkeypatch.setattr("prefrl.agents.callback.reset_critic", spied)
    prefs = learning(worlds())
    agent(kind, prefs.venv).learn(1024, callback=prefs.callback())
    assert prefs.labels.n_labels == 12
    [(n_labels, n_updates)] = at
    assert 6 <= n_labels <= 12
    assert n_updates == (0 if kind is PPO else 100)
    prefs = learning(worlds(), "none")
    agent(kind, prefs.venv).learn(1024, callback=prefs.callback())
    assert len(at) == 1
