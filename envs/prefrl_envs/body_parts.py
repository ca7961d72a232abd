"""The parts of a robot's body, and the colours by which a person who watches it tells them apart."""

from dataclasses import dataclass

WHITE = "#F4F4F4"
YELLOW = "#F0E442"
ORANGE = "#E69F00"
VERMILLION = "#D55E00"
SKY_BLUE = "#56B4E9"
BLUE = "#0072B2"
"""Colours of Okabe and Ito (2008), which people of every kind of colour vision tell apart, and white."""


@dataclass(frozen=True, slots=True, kw_only=True)
class BodyPart:
    """What a person sees as one: a torso, a leg, the feet.

    Either field of names may be empty; what both name together is drawn in the colour.
    """

    name: str
    """In plain words, singular or plural, as it stands beside its colour under the clips."""
    colour: str
    """As #RRGGBB."""
    geoms: tuple[str, ...] = ()
    """Names of MuJoCo's geoms that belong to it."""
    links: tuple[str, ...] = ()
    """Names of MuJoCo's bodies all of whose geoms belong to it, for models that do not name their geoms."""

    @property
    def rgb(self) -> tuple[int, int, int]:
        """The colour as numbers from 0 to 255."""
        red, green, blue = bytes.fromhex(self.colour.removeprefix("#"))
        return red, green, blue
