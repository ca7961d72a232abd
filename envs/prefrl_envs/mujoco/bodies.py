"""How the parts of each robot are coloured.

Everywhere the torso is white; what is in front or on the right is warm (orange, vermillion at its end); what is at
the back or on the left is cold (sky blue, blue at its end). So no foot that is turned up is taken for a head, and
no left leg for a right one.
"""

from types import MappingProxyType

from prefrl_envs.body_parts import BLUE, ORANGE, SKY_BLUE, VERMILLION, WHITE, YELLOW, BodyPart

Parts = tuple[BodyPart, ...]

HOPPER: Parts = (
    BodyPart(name="torso", colour=WHITE, geoms=("torso_geom",)),
    BodyPart(name="thigh", colour=ORANGE, geoms=("thigh_geom",)),
    BodyPart(name="lower leg", colour=VERMILLION, geoms=("leg_geom",)),
    BodyPart(name="foot", colour=SKY_BLUE, geoms=("foot_geom",)),
)
HALFCHEETAH: Parts = (
    BodyPart(name="head", colour=YELLOW, geoms=("head",)),
    BodyPart(name="torso", colour=WHITE, geoms=("torso",)),
    BodyPart(name="front leg", colour=ORANGE, geoms=("fthigh", "fshin")),
    BodyPart(name="front foot", colour=VERMILLION, geoms=("ffoot",)),
    BodyPart(name="back leg", colour=SKY_BLUE, geoms=("bthigh", "bshin")),
    BodyPart(name="back foot", colour=BLUE, geoms=("bfoot",)),
)
WALKER2D: Parts = (
    BodyPart(name="torso", colour=WHITE, geoms=("torso_geom",)),
    BodyPart(name="right leg", colour=ORANGE, geoms=("thigh_geom", "leg_geom")),
    BodyPart(name="right foot", colour=VERMILLION, geoms=("foot_geom",)),
    BodyPart(name="left leg", colour=SKY_BLUE, geoms=("thigh_left_geom", "leg_left_geom")),
    BodyPart(name="left foot", colour=BLUE, geoms=("foot_left_geom",)),
)
# The model's names take its y axis for the front; the agent is to move along its x axis, which it faces here.
ANT: Parts = (
    BodyPart(name="torso", colour=WHITE, geoms=("torso_geom",)),
    BodyPart(
        name="front legs",
        colour=ORANGE,
        geoms=(
            "aux_1_geom",
            "left_leg_geom",
            "left_ankle_geom",
            "aux_4_geom",
            "rightback_leg_geom",
            "fourth_ankle_geom",
        ),
    ),
    BodyPart(
        name="back legs",
        colour=SKY_BLUE,
        geoms=(
            "aux_2_geom",
            "right_leg_geom",
            "right_ankle_geom",
            "aux_3_geom",
            "back_leg_geom",
            "third_ankle_geom",
        ),
    ),
)
HUMANOID: Parts = (
    BodyPart(name="head", colour=YELLOW, geoms=("head",)),
    BodyPart(name="torso", colour=WHITE, geoms=("torso1", "uwaist", "lwaist", "butt")),
    BodyPart(name="right arm", colour=VERMILLION, geoms=("right_uarm1", "right_larm", "right_hand")),
    BodyPart(name="right leg", colour=ORANGE, geoms=("right_thigh1", "right_shin1", "right_foot")),
    BodyPart(name="left arm", colour=BLUE, geoms=("left_uarm1", "left_larm", "left_hand")),
    BodyPart(name="left leg", colour=SKY_BLUE, geoms=("left_thigh1", "left_shin1", "left_foot")),
)
SWIMMER: Parts = (
    BodyPart(name="front link", colour=ORANGE, links=("torso",)),
    BodyPart(name="middle link", colour=WHITE, links=("mid",)),
    BodyPart(name="back link", colour=SKY_BLUE, links=("back",)),
)
DMC_WALKER: Parts = (
    BodyPart(name="torso", colour=WHITE, geoms=("torso",)),
    BodyPart(name="right leg", colour=ORANGE, geoms=("right_thigh", "right_leg")),
    BodyPart(name="right foot", colour=VERMILLION, geoms=("right_foot",)),
    BodyPart(name="left leg", colour=SKY_BLUE, geoms=("left_thigh", "left_leg")),
    BodyPart(name="left foot", colour=BLUE, geoms=("left_foot",)),
)
DMC_QUADRUPED: Parts = (
    BodyPart(name="torso", colour=WHITE, geoms=("torso",)),
    BodyPart(
        name="front legs",
        colour=ORANGE,
        links=tuple(
            f"{link}_front_{side}" for link in ("hip", "knee", "ankle", "toe") for side in ("left", "right")
        ),
    ),
    BodyPart(
        name="back legs",
        colour=SKY_BLUE,
        links=tuple(
            f"{link}_back_{side}" for link in ("hip", "knee", "ankle", "toe") for side in ("left", "right")
        ),
    ),
)

OF_GYMNASIUM = MappingProxyType(
    {
        "HopperEnv": HOPPER,
        "HalfCheetahEnv": HALFCHEETAH,
        "Walker2dEnv": WALKER2D,
        "AntEnv": ANT,
        "HumanoidEnv": HUMANOID,
        "SwimmerEnv": SWIMMER,
    }
)
"""The same by the classes of gymnasium's own environments, versions 4 and 5."""
