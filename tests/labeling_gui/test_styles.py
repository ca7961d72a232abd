"""Colours of the pages, by arithmetic."""

import re

import pytest

from prefrl_labeling_gui.routes.pages import STATIC

Colour = tuple[float, float, float]
USED = 3.0
"""Contrast that the edge of something usable needs (WCAG 2.2, success criterion 1.4.11)."""


def colours(name: str) -> tuple[Colour, Colour]:
    """A colour of style.css in the light and in the dark theme."""
    css = (STATIC / "style.css").read_text(encoding="utf-8")
    [found] = re.findall(rf"--{name}: light-dark\(#([0-9a-f]{{6}}), #([0-9a-f]{{6}})\)", css)
    light, dark = ((int(code[:2], 16), int(code[2:4], 16), int(code[4:], 16)) for code in found)
    return light, dark


def luminance(colour: Colour) -> float:
    """Relative luminance, from 0 to 1 (WCAG 2.2)."""
    red, green, blue = (
        part / 12.92 if part <= 0.04045 else ((part + 0.055) / 1.055) ** 2.4
        for part in (value / 255 for value in colour)
    )
    return 0.2126 * red + 0.7152 * green + 0.0722 * blue


def contrast(one: Colour, other: Colour) -> float:
    low, high = sorted((luminance(one), luminance(other)))
    return (high + 0.05) / (low + 0.05)


def test_contrast_is_that_of_the_standard() -> None:
    assert contrast((0, 0, 0), (255, 255, 255)) == pytest.approx(21)
    assert contrast((0x76, 0x76, 0x76), (255, 255, 255)) == pytest.approx(4.54, abs=0.01)


@pytest.mark.parametrize("ground", ["ground", "surface", "sunken"])
@pytest.mark.parametrize("theme", [0, 1], ids=["light", "dark"])
def test_edges_of_what_can_be_used_are_seen(ground: str, theme: int) -> None:
    assert contrast(colours("edge")[theme], colours(ground)[theme]) >= USED
