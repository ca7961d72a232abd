"""What can be chosen by name: one line for each, and this is the only place that lists them.

A line says where the class is, so that nothing is imported before it is wanted. The command line, `--help`, the
docs, the checks of the settings and the tests over all of them read these tables.
"""

from collections.abc import Mapping, MutableMapping
from difflib import get_close_matches
from importlib import import_module
from typing import Any

from prefrl.errors import SettingError

STRATEGIES: MutableMapping[str, str] = {
    "uniform": "prefrl.feedback.strategies.uniform:UniformStrategy",
    "spread": "prefrl.feedback.strategies.by_return:SpreadStrategy",
    "disagreement": "prefrl.feedback.strategies.scores:DisagreementStrategy",
    "thompson": "prefrl.feedback.strategies.by_return:ThompsonStrategy",
    "entropy": "prefrl.feedback.strategies.scores:EntropyStrategy",
    "mutual-information": "prefrl.feedback.strategies.scores:MutualInformationStrategy",
    "near-policy": "prefrl.feedback.strategies.coverage:NearPolicyStrategy",
    "diverse": "prefrl.feedback.strategies.coverage:DiverseStrategy",
    "disagreement-diverse": "prefrl.feedback.strategies.scores:DisagreementDiverseStrategy",
}
"""Which segments are asked about: classes made of `FeedbackSettings`. Names may be mixed, as in
"spread:0.5+thompson:0.5", so they have no "+" and no ":"."""

SCHEDULES: MutableMapping[str, str] = {
    "hyperbolic": "prefrl.feedback.schedules:HyperbolicSchedule",
    "constant": "prefrl.feedback.schedules:ConstantSchedule",
    "increasing": "prefrl.feedback.schedules:IncreasingSchedule",
}
"""When labels are due: classes made of labels, steps and `FeedbackSettings`."""

TEACHERS: MutableMapping[str, str] = {
    "oracle": "prefrl.feedback.teachers:OracleTeacher",
    "boltzmann": "prefrl.feedback.teachers:BoltzmannTeacher",
    "simulated": "prefrl.feedback.simulated_teacher:SimulatedTeacher",
    "bpref": "prefrl.feedback.bpref_teacher:BPrefTeacher",
    "regret": "prefrl.feedback.regret_teacher:RegretTeacher",
    "drifting": "prefrl.feedback.drifting_teacher:DriftingTeacher",
    "slow": "prefrl.feedback.slow_teacher:SlowTeacher",
    "mixture": "prefrl.feedback.mixture_teacher:MixtureTeacher",
    "human": "prefrl.feedback.teachers:People",
}
"""Who compares: dataclasses made of `teacher_settings`, and of the run's seed where they have a field `seed`."""

FEEDBACK_KINDS: MutableMapping[str, str] = {
    "pair": "prefrl.segments.answers:PAIR",
    "strength": "prefrl.segments.answers:STRENGTH",
    "ranking": "prefrl.segments.answers:RANKING",
    "rating": "prefrl.segments.answers:RATING",
}
"""What may be said of a query: values of `FeedbackKind`."""

ON_POLICY: Mapping[str, str] = {
    "ppo": "stable_baselines3:PPO",
    "a2c": "stable_baselines3:A2C",
    "trpo": "prefrl.agents.trpo:EntropyTRPO",
    "ppo_lstm": "sb3_contrib:RecurrentPPO",
}
OFF_POLICY: Mapping[str, str] = {
    "sac": "stable_baselines3:SAC",
    "td3": "stable_baselines3:TD3",
    "ddpg": "stable_baselines3:DDPG",
    "tqc": "sb3_contrib:TQC",
    "crossq": "sb3_contrib:CrossQ",
    "dqn": "stable_baselines3:DQN",
    "qrdqn": "sb3_contrib:QRDQN",
}
ALGORITHMS: MutableMapping[str, str] = {**ON_POLICY, **OFF_POLICY}
"""Who learns: algorithms with SB3's interface, from rollouts or from a replay buffer. `presets/_algorithms.yaml`
has settings for each."""


def check_name(table: Mapping[str, str], name: str, setting: str) -> None:
    """Refuse a name that a table has not; nothing is imported.

    Args:
        table: One of this module.
        name: The name that was chosen.
        setting: Where it was chosen, for the message.

    Raises:
        SettingError: The table has no such name.
    """
    if name not in table:
        close = get_close_matches(name, table)
        hint = f" Did you mean {close[0]}?" if close else ""
        raise SettingError(f"`{setting}` must be one of {', '.join(table)}. Received {name!r}.{hint}")


def look_up(table: Mapping[str, str], name: str, setting: str) -> Any:
    """Return what a table has under a name.

    Args:
        table: One of this module.
        name: The name that was chosen.
        setting: Where it was chosen, for the message.

    Raises:
        SettingError: The table has no such name.
    """
    check_name(table, name, setting)
    module, _, attribute = table[name].partition(":")
    return getattr(import_module(module), attribute)
