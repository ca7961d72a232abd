"""Every part's settings: one frozen dataclass each, with its defaults, checks and docstrings, and without torch.

The command line, the presets, the docs, `PreferenceLearning` and the parts themselves all read these, so that a
setting is written once.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from math import inf, isfinite
from typing import TYPE_CHECKING, Annotated, Any, Literal, TypeAlias

import tyro
from pydantic import ConfigDict

from prefrl.errors import SettingError
from prefrl.registry import ALGORITHMS, FEEDBACK_KINDS, SCHEDULES, STRATEGIES, TEACHERS, check_name

if TYPE_CHECKING:
    AlgorithmName: TypeAlias = str
    FeedbackKindName: TypeAlias = str
    ScheduleName: TypeAlias = str
    StrategyName: TypeAlias = str
    TeacherName: TypeAlias = str
else:  # what the registry lists is what the command line offers
    AlgorithmName = Literal[tuple(ALGORITHMS)]
    FeedbackKindName = Literal[tuple(FEEDBACK_KINDS)]
    ScheduleName = Literal[tuple(SCHEDULES)]
    StrategyName = Literal[tuple(STRATEGIES)] | str  # or a mixture of them
    TeacherName = Literal[tuple(TEACHERS)]

LARGEST = 10**12 - 1
"""Of what is counted, such as steps; a run of more would take centuries."""
MAX_ENVS = 4096
"""More environments than this fill the memory of most machines before the first step."""


@dataclass(frozen=True, kw_only=True)
class FeedbackSettings:
    """When and about what the teacher is asked."""

    __pydantic_config__ = ConfigDict(extra="forbid")

    segment_length: Annotated[int, tyro.conf.arg(aliases=["--segment-length"])] = 50
    """Steps of a segment."""
    kind: Annotated[FeedbackKindName, tyro.conf.arg(aliases=["--feedback"])] = "pair"
    """What the teacher says: which of two clips is better (pair), also whether it is much better (strength), how
    several clips follow each other, the best first (ranking), or how good one clip is, from 1 to 5 (rating)."""
    ranking_size: int = 4
    """Clips of a ranking, 3 to 6."""
    schedule: ScheduleName = "hyperbolic"
    """How the labels are spread over the training; hyperbolic is the paper's."""
    time_constant: float = 2e6
    """Steps c of the hyperbolic schedule, whose rate is proportional to c / (steps + c)."""
    initial_timesteps: int = 4096
    """Environment steps before the first questions; until then the learned reward is 0."""
    pretraining: Literal["none", "state-entropy"] = "none"
    """What pays the agent until the first labels are learned: nothing, or how far what it observes is from all
    that it has observed (state-entropy); then its critic begins anew (Lee et al. 2021)."""
    initial_share: float = 0.25
    """Share of the labels asked first, about the initial policy (Christiano et al. 2017, A.1)."""
    asking_share: float = 0.9
    """Share of the training after which the last label has been asked."""
    labels_per_round: int = 25
    """Labels that must be due before a round of asking and fitting starts."""
    strategy: StrategyName = "uniform"
    """Which pairs are asked. uniform: any; spread: evenly over the range of predicted return; thompson: for each
    clip, what a member drawn at random likes best of ten. Of ten times as many pairs, disagreement (the paper's):
    those the ensemble disagrees on most; entropy: those it is least sure of; mutual-information: those that tell
    most about which member is right; diverse: those that differ most from each other; disagreement-diverse: both.
    near-policy: of the last `recent_steps`, pairs whose clips differ. Or a mixture of these whose shares sum to 1,
    such as spread:0.5+thompson:0.5."""
    recent_share: float = 0.0
    """Share of the segments drawn, from which a strategy then chooses, that are of the last `recent_steps`; the
    rest is of all recorded experience. With near-policy all are recent."""
    recent_steps: int = 256
    """Steps per environment that count as recent."""
    recorder_steps: int = 2560
    """Steps kept per environment to cut segments from."""
    slack: int = 10
    """Labels by which the agent may be ahead of people; then it waits for them."""
    stock: int = 12
    """Queries kept ready for people."""
    stale_after: int = 40_000
    """Environment steps after which an unanswered query is not put to people any more."""
    overlap: int = 1
    """People who should answer each query."""

    def __post_init__(self) -> None:
        """Refuse figures that cannot be."""
        if min(self.segment_length, self.labels_per_round, self.recorder_steps, self.recent_steps) < 1:
            raise SettingError(
                "`segment_length`, `labels_per_round`, `recorder_steps` and `recent_steps` must be at least 1. "
                f"Received {self.segment_length}, {self.labels_per_round}, {self.recorder_steps} and "
                f"{self.recent_steps}."
            )
        strategy_shares(self.strategy)
        if not 3 <= self.ranking_size <= 6:
            raise SettingError(f"`ranking_size` must be 3 to 6 clips. Received {self.ranking_size}.")
        if not 0 < self.time_constant < inf:
            raise SettingError(f"`time_constant` must be above 0 and finite. Received {self.time_constant}.")
        if self.recent_share > 0 and self.recent_steps < self.segment_length:
            raise SettingError(
                f"`recent_steps` must hold a segment of {self.segment_length} steps. Received {self.recent_steps}."
            )
        if not 0 < self.asking_share <= 1 or not 0 <= self.initial_share <= 1 or not 0 <= self.recent_share <= 1:
            raise SettingError(
                "Expected 0 < `asking_share` <= 1, 0 <= `initial_share` <= 1 and 0 <= `recent_share` <= 1. "
                f"Received {self.asking_share}, {self.initial_share} and {self.recent_share}."
            )
        if self.pretraining not in ("none", "state-entropy"):
            raise SettingError(f"`pretraining` must be none or state-entropy. Received {self.pretraining!r}.")
        if min(self.stock, self.stale_after, self.overlap, self.slack + 1) < 1:
            raise SettingError(
                "`stock`, `stale_after` and `overlap` must be at least 1, and `slack` at least 0. Received "
                f"{self.stock}, {self.stale_after}, {self.overlap} and {self.slack}."
            )


def strategy_shares(strategy: str) -> dict[str, float]:
    """Return which share of the queries each strategy of a mixture chooses.

    Args:
        strategy: A name, or names with shares that sum to 1, such as `"spread:0.5+thompson:0.5"`.

    Raises:
        SettingError: It is neither, or a name is none of the registry.
    """
    if ":" not in strategy and "+" not in strategy:
        check_name(STRATEGIES, strategy, "strategy")
        return {strategy: 1.0}
    shares: dict[str, float] = {}
    for part in strategy.split("+"):
        name, _, share = (text.strip() for text in part.partition(":"))
        check_name(STRATEGIES, name, "strategy")
        try:
            value = float(share)
        except ValueError:
            value = 0.0
        if not 0 < value <= 1 or name in shares:
            raise SettingError(_MIXTURE.format(strategy))
        shares[name] = value
    if abs(sum(shares.values()) - 1) > 1e-6:
        raise SettingError(_MIXTURE.format(strategy))
    return shares


_MIXTURE = (
    "A `strategy` that is mixed names each one once, with shares above 0 that sum to 1, such as "
    "spread:0.5+thompson:0.5. Received {!r}."
)


@dataclass(frozen=True, kw_only=True)
class RewardSettings:
    """The ensemble of reward networks and its training."""

    __pydantic_config__ = ConfigDict(extra="forbid")

    n_members: int = 3
    """Networks E in the ensemble."""
    action: bool = True
    """Whether networks that read numbers see the action, as the paper's do. Without it fewer labels tell as much
    where a behaviour shows in what is observed: a policy finds what is wrong about actions at once."""
    next_observation: bool = False
    """Whether networks that read numbers see the observation after the action, too: where what counts is what a
    step brought about, such as the way made in it. Images are read without."""
    hidden_sizes: tuple[int, ...] = (64, 64)
    """Units of each hidden layer; images are read by the paper's convolutional network instead."""
    dropout: float = 0.0
    """Share of filters left out while the convolutional network is trained (docs/method.md says why none)."""
    reward_sd: float = 1.0
    """Standard deviation of each member's output over the labelled segments; 0.05 for Atari in the paper."""
    aggregation: Literal["mean", "min"] = "mean"
    """How the members' outputs become one reward: their mean, or the smallest of them."""
    sd_weight: float = 0.0
    """Multiple of the standard deviation over members that is added to their mean: below 0 the agent is kept from
    what the members disagree on, above 0 it is drawn there. Of the whole training, and of the saved reward."""
    bonus: float = 0.0
    """Multiple of the standard deviation over members that is added while labels come, so that the agent shows
    what can be asked about (RUNE, Liang et al. 2022, begins at 0.05). It falls with the share of the labels that
    are still to come, to 0 when the last one is in."""
    pessimism: float = 0.0
    """Multiple of the standard deviation over members that is taken off once the last label is in, when nobody
    corrects any more what the agent finds; so the saved reward pays, too."""
    learning_rate: float = 1e-3
    """Of Adam."""
    batch_size: int = 64
    """Comparisons per gradient step and member."""
    error_rate: float = 0.1
    """Share of answers assumed to be a fair coin's."""
    error_rate_from_repeats: bool = False
    """Whether that share is learned from what people say when they are asked a second time, once 20 answers can be
    held against such."""
    label_filter: Literal["none", "drop", "flip"] = "none"
    """What is done with answers that are wrong more likely than not, by what networks say that are not trained on
    them: nothing; they are left out of the training (drop); or those that are all but impossible are turned round
    instead (flip). All are judged anew at every fit; each network leaves out its part of the comparisons then."""
    reliability: bool = False
    """Whether the training learns how reliable each person is, and hears them by that in place of `error_rate`
    (Chen et al. 2013); who says the opposite of what the reward says is understood the other way round."""
    much_from: float = 2.0
    """Difference of two returns, in logits of the preference, from which one is called much better (feedback of
    kind strength)."""
    l2: float = 1e-4
    """First L2 coefficient; adapted during the run."""
    first_epochs: int = 20
    """Passes over the comparisons in the first fit."""
    epochs: int = 3
    """Passes in every other fit; fewer, and at least one, where less than a tenth of the comparisons are new."""
    bootstrap: bool = False
    """Whether each network trains on a draw with replacement, which leaves out 1/e of the comparisons (the
    paper's), and not on all but a tenth; it is validated on those left out."""
    memory: int = 0
    """Only so many latest comparisons are trained on; 0 for all."""
    crop_least: float = 1.0
    """Smallest share of a segment that a network is trained on in a step; parts are drawn anew each time (SURF,
    Park et al. 2022). 1 for whole segments."""
    pseudo_weight: float = 0.0
    """Weight of the loss on pairs that nobody was asked about, which each network labels where it is sure (SURF
    has 1); 0 for no such pairs. A run only: where there are labels alone, none are drawn."""
    pseudo_threshold: float = 0.99
    """Probability from which on a network is sure."""
    pseudo_ratio: int = 4
    """Such pairs for each comparison of a batch; each fit draws as many anew as belong to a whole batch."""

    def __post_init__(self) -> None:
        """Refuse what cannot be, so that no training stops at its first fit."""
        _check_sizes(self.hidden_sizes, "the reward model")
        if min(self.first_epochs, self.epochs, *self.hidden_sizes) < 1:
            raise SettingError(
                "`first_epochs`, `epochs` and `hidden_sizes` of the reward model must be at least 1. Received "
                f"{self.first_epochs}, {self.epochs} and {self.hidden_sizes}."
            )
        if min(self.n_members, self.batch_size, self.memory + 1) < 1:
            raise SettingError(
                "`n_members` and `batch_size` of the reward model must be at least 1, and `memory` at least 0. "
                f"Received {self.n_members}, {self.batch_size} and {self.memory}."
            )
        if not all(0 < value < inf for value in (self.learning_rate, self.reward_sd, self.much_from)):
            raise SettingError(
                "`learning_rate`, `reward_sd` and `much_from` of the reward model must be finite and above 0. "
                f"Received {self.learning_rate}, {self.reward_sd} and {self.much_from}."
            )
        if not 0 <= self.dropout < 1 or not 0 <= self.error_rate < 1 or not 0 <= self.l2 < inf:
            raise SettingError(
                "Expected 0 <= `dropout` < 1, 0 <= `error_rate` < 1 and a finite `l2` >= 0 of the reward model. "
                f"Received {self.dropout}, {self.error_rate} and {self.l2}."
            )
        self._check_judging()
        self._check_unlabelled()
        if self.aggregation not in ("mean", "min") or not isfinite(self.sd_weight):
            raise SettingError(
                "`aggregation` of the reward model must be mean or min, and `sd_weight` finite. Received "
                f"{self.aggregation!r} and {self.sd_weight}."
            )
        if self.aggregation == "min" and self.sd_weight != 0:
            raise SettingError(
                f"`sd_weight` belongs to the mean of the members; leave it at 0 with `aggregation` min. Received "
                f"{self.sd_weight}."
            )
        self._check_disagreement()

    @property
    def sd_weight_changes(self) -> bool:
        """Whether what disagreement pays changes in the course of a training."""
        return self.bonus > 0 or self.pessimism > 0

    def sd_weight_at(self, share_to_come: float) -> float:
        """Return the multiple of the standard deviation over members that is paid beside their mean.

        Args:
            share_to_come: Share of all labels that the reward has not learned yet; 0 when the last one is in.
        """
        if share_to_come > 0:
            return self.sd_weight + self.bonus * share_to_come
        return self.sd_weight - self.pessimism

    def _check_judging(self) -> None:
        """Refuse what cannot be about wrong answers."""
        if self.label_filter not in ("none", "drop", "flip"):
            raise SettingError(f"`label_filter` must be none, drop or flip. Received {self.label_filter!r}.")
        if self.label_filter != "none" and self.reliability:
            raise SettingError(
                "`label_filter` and `reliability` are two answers to one question; choose one. Received "
                f"{self.label_filter!r} and {self.reliability}."
            )
        if self.judges_answers and self.n_members < 2:
            raise SettingError(
                "`label_filter` and `reliability` need a network that is not trained on what it judges: set "
                f"`n_members` to 2 or more. Received {self.n_members}."
            )

    def _check_unlabelled(self) -> None:
        """Refuse what cannot be about crops and pseudo-labels."""
        if not 0 < self.crop_least <= 1 or not 0.5 < self.pseudo_threshold < 1:
            raise SettingError(
                "Expected 0 < `crop_least` <= 1 and 0.5 < `pseudo_threshold` < 1 of the reward model. Received "
                f"{self.crop_least} and {self.pseudo_threshold}."
            )
        if not 0 <= self.pseudo_weight < inf or self.pseudo_ratio < 1:
            raise SettingError(
                "`pseudo_weight` of the reward model must be finite and at least 0, `pseudo_ratio` at least 1. "
                f"Received {self.pseudo_weight} and {self.pseudo_ratio}."
            )

    def _check_disagreement(self) -> None:
        """Refuse what cannot be, or says two things, about what disagreement pays."""
        if not 0 <= self.bonus < inf or not 0 <= self.pessimism < inf:
            raise SettingError(
                "`bonus` and `pessimism` of the reward model must be finite and at least 0. Received "
                f"{self.bonus} and {self.pessimism}."
            )
        if self.sd_weight_changes and self.sd_weight != 0:
            raise SettingError(
                "`sd_weight` of the reward model is for all of a run, `bonus` and `pessimism` for its parts; "
                f"set one, or the others. Received {self.sd_weight}, {self.bonus} and {self.pessimism}."
            )
        if self.sd_weight_changes and (self.aggregation != "mean" or self.n_members < 2):
            raise SettingError(
                "`bonus` and `pessimism` belong to the mean of at least 2 members; leave them at 0 otherwise. "
                f"Received {self.bonus} and {self.pessimism} with `aggregation` {self.aggregation} and "
                f"`n_members` {self.n_members}."
            )

    @property
    def judges_answers(self) -> bool:
        """Whether answers are judged by networks that are not trained on them."""
        return self.label_filter != "none" or self.reliability


@dataclass(frozen=True, kw_only=True)
class RestartSettings:
    """When a policy that gets no better is replaced by a fresh one; the best of all has the last word."""

    __pydantic_config__ = ConfigDict(extra="forbid")

    first_policies: int = 0
    """Policies that the training begins with, one after the other, to ask about what they do; then a fresh one
    learns from the reward that came of it."""
    first_share: float = 0.5
    """Share of the training that the first policies have together."""
    at_most: int = 2
    """Fresh policies at most where one is stuck; 0 for none. That it is stuck is said in any case. On-policy: one
    that learns from a replay buffer is never replaced."""
    window_share: float = 0.025
    """Share of the training after which the policy is looked at; longer where an episode is longer."""
    patience: int = 4
    """Windows whose mean reward is compared with that of as many before them."""
    least_gain: float = 0.05
    """A policy whose reward per step grew by less, in standard deviations of the reward, is stuck."""
    least_share: float = 0.25
    """Share of the training that a fresh policy must have left, and twice the steps that the stuck one rose."""

    def __post_init__(self) -> None:
        """Refuse figures that cannot be."""
        if self.patience < 1 or min(self.at_most, self.first_policies) < 0:
            raise SettingError(
                "`patience` must be at least 1, `first_policies` and `at_most` at least 0. Received "
                f"{self.patience}, {self.first_policies} and {self.at_most}."
            )
        if not 0 < self.window_share <= 1 or not 0 < self.first_share < 1 or not 0 <= self.least_share <= 1:
            raise SettingError(
                "Expected 0 < `window_share` <= 1, 0 < `first_share` < 1 and 0 <= `least_share` <= 1. Received "
                f"{self.window_share}, {self.first_share} and {self.least_share}."
            )
        if not isfinite(self.least_gain):
            raise SettingError(f"`least_gain` must be finite. Received {self.least_gain}.")


@dataclass(frozen=True, kw_only=True)
class AgentSettings:
    """The agent and its environments."""

    __pydantic_config__ = ConfigDict(extra="forbid")

    n_envs: int = 16
    """Environments that step together."""
    hidden_sizes: tuple[int, ...] = (64, 64)
    """Units of each hidden layer of policy and value function; images have a convolutional network instead."""
    cnn: Literal["small", "nature"] = "small"
    """That network: small is the one of Mnih et al. 2013, nature the larger one of 2015."""
    frame_stack: int = 1
    """Frames that policy and reward network see at once, of environments that hand out one at a time."""
    log_std_init: float = 0.0
    """Logarithm of the first standard deviation of continuous actions; on-policy."""
    normalize_observations: bool = True
    """Whether the policy sees normalised observations (the reward network always sees raw ones)."""
    clip_rewards: bool = False
    """Whether the agent gets no reward beyond ±1; the teacher and the returns that are shown have it unclipped."""
    normalize_rewards: bool = True
    """Whether rewards, learned or true, are divided by the running standard deviation of discounted returns."""
    device: str = "cpu"
    """Where the policy lives: cpu is faster for networks this small."""
    settings: tyro.conf.Suppress[dict[str, Any]] = field(default_factory=dict)
    """Keyword arguments of the algorithm in SB3's spelling, such as n_steps, gamma, learning_rate."""

    def __post_init__(self) -> None:
        """Refuse figures that cannot be; what only one algorithm knows, it checks itself."""
        if not 1 <= self.n_envs <= MAX_ENVS:
            raise SettingError(
                f"`agent.n_envs` must lie between 1 and {MAX_ENVS:,}. Received {shown(self.n_envs)}."
            )
        _check_sizes(self.hidden_sizes, "the agent")
        if min(self.frame_stack, *self.hidden_sizes) < 1:
            raise SettingError(
                "`frame_stack` and `hidden_sizes` of the agent must be at least 1. Received "
                f"{self.frame_stack} and {self.hidden_sizes}."
            )
        check_numbers({"log_std_init": self.log_std_init, **self.settings}, "of the agent ")
        for name in ("learning_rate", "n_steps", "batch_size", "n_epochs", "buffer_size", "train_freq"):
            value = _number(self.settings.get(name))
            if value is not None and value <= 0:
                raise SettingError(f"`{name}` of the agent must be above 0. Received {value}.")
        for name in ("gamma", "gae_lambda"):
            value = _number(self.settings.get(name))
            if value is not None and not 0 <= value <= 1:
                raise SettingError(f"`{name}` of the agent must lie between 0 and 1. Received {value}.")


def _check_sizes(sizes: object, whose: str) -> None:
    """Refuse a number where there is to be one for each layer."""
    if not isinstance(sizes, tuple | list) or not all(type(size) is int for size in sizes):
        raise SettingError(
            f"`hidden_sizes` of {whose} must have a whole number for each layer, such as (64, 64). Received "
            f"{sizes!r}."
        )


def check_numbers(values: Mapping[str, Any], whose: str = "") -> None:
    """Refuse numbers that are not finite, or larger than anything that is counted here.

    Args:
        values: Settings by name; "lin_X" is a number as well, and sequences hold numbers.
        whose: Words that tell whose settings they are, with a space after them.

    Raises:
        SettingError: It names the setting.
    """
    for name, value in values.items():
        for part in value if isinstance(value, list | tuple) else [value]:
            number = _number(part)
            if isinstance(number, float) and not isfinite(number):
                raise SettingError(f"`{name}` {whose}must be a finite number. Received {part}.")
            if isinstance(number, int) and abs(number) > LARGEST:
                raise SettingError(f"`{name}` {whose}must not exceed {LARGEST:,}. Received {shown(number)}.")


def _number(value: Any) -> int | float | None:
    """Return what a setting says as a number; None where it says none."""
    if isinstance(value, str) and value.startswith("lin_"):
        try:
            return float(value.removeprefix("lin_"))
        except ValueError:
            return None
    return None if isinstance(value, bool) or not isinstance(value, int | float) else value


def shown(number: int) -> str:
    """Return a whole number as a sentence can hold it."""
    digits = str(abs(number))
    return f"{number:,}" if len(digits) <= 20 else f"a number of {len(digits)} digits"
