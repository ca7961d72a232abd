"""Names: one spelling each, none that hides something, none that can be taken for another's."""

# ruff: noqa: RUF001

import pytest

from prefrl.errors import SettingError
from prefrl_labeling_gui.names import clean_name, look_alike

LIKE_OWNER = {
    "the same": "owner",
    "capitals": "OWNER",
    "one capital": "Owner",
    "spaces": "o w n e r",
    "a space that does not break": "ow\u00a0ner",
    "punctuation": "owner.",
    "an underscore": "own_er",
    "a digit": "0wner",
    "two letters for one": "ovvner",
    "full width": "ｏｗｎｅｒ",
    "mathematical": "𝐨𝐰𝐧𝐞𝐫",
    "an accent": "ówner",
    "an accent of its own": "owne\u0301r",
    "a stroke": "øwner",
    "small capitals": "ᴏᴡɴᴇʀ",
    "Cyrillic o": "оwner",
    "Cyrillic e": "ownеr",
    "Cyrillic w": "oԝner",
    "Cyrillic capitals": "ОWNЕR",
    "Greek o": "οwner",
    "Greek capitals": "ΟWΝΕR",
    "Greek omega": "oωner",
    "Armenian": "օwոer",
    "Cherokee": "OᎳNER",
}


@pytest.mark.parametrize("kind", LIKE_OWNER)
def test_what_looks_like_owner_is_taken(kind: str) -> None:
    assert look_alike(clean_name(LIKE_OWNER[kind]), ["Ann", "owner"]) == "owner"


@pytest.mark.parametrize(
    ("name", "other"),
    [
        ("Ann", "Anna"),
        ("Bernd", "Bert"),
        ("Lin", "Lia"),
        ("Ева", "Ева 2"),
        ("李雷", "李蕾"),
        ("สมชาย", "สมชีย"),  # one vowel sign apart
        ("p1", "p2"),
        ("Ole", "Ale"),
    ],
)
def test_different_names_are_different(name: str, other: str) -> None:
    assert look_alike(clean_name(name), [clean_name(other)]) is None


@pytest.mark.parametrize(
    ("name", "other"), [("Iris", "lris"), ("iris", "IRIS"), ("Νίκος", "νικος"), ("Ева", "EBA"), ("Bernd", "bemd")]
)
def test_names_that_look_alike(name: str, other: str) -> None:
    assert look_alike(name, [other]) == other
    assert look_alike(other, [name]) == name


@pytest.mark.parametrize(
    ("name", "clean"),
    [
        (" Ann ", "Ann"),
        ("Ann  B.", "Ann B."),
        ("Ｍｉｏ", "Mio"),
        ("Zoe\u0308", "Zoë"),
        ("O'Neil-Smith_2", "O'Neil-Smith_2"),
        ("a@b.org", "a@b.org"),
        ("Ann\u3000Lee", "Ann Lee"),
        ("สมชาย", "สมชาย"),
        ("x" * 40, "x" * 40),
    ],
)
def test_a_name_is_written_in_one_way(name: str, clean: str) -> None:
    assert clean_name(name) == clean == clean_name(clean)


@pytest.mark.parametrize(
    "name",
    [
        "",
        " ",
        "\u3000",
        "x" * 41,
        "ﷺ" * 3,  # 54 letters as they are read
        ".ann",
        "_ann",
        "\u0301ann",
        "a\nb",
        "a\tb",
        "a\0b",
        "owner\u200b",  # zero width space
        "ow\u200dner",  # joiner
        "ow\u200cner",
        "ow\u00adner",  # soft hyphen
        "\u202eowner",  # right to left
        "owner\u2066",
        "owner\ufeff",
        "owner\u3164",  # letters that show as nothing
        "owner\u115f",
        "owner\u034f",
        "owner\ufe0f",
        "owner\u180b",
        "owner\U000e0100",
        "owner\u2800",
        "owner\ue000",  # for private use
        "owner\u2028",
        "a/b",
        "<b>",
        "a&b",
        'a"b',
        "a\\b",
        "a;b",
        "😀",
    ],
)
def test_what_cannot_be_shown_safely_is_refused(name: str) -> None:
    with pytest.raises(SettingError, match="A name must"):
        clean_name(name)
