"""Names of people: one spelling each, and none that can be taken for another's.

The tables hold the look-alikes that are commonly abused, not all of Unicode's confusables.
"""

# ruff: noqa: RUF001  (look-alikes are what this is about)

import unicodedata
from collections.abc import Iterable

from prefrl.errors import SettingError

MAX_LENGTH = 40

_PUNCTUATION = frozenset(" .'@-_")
_INVISIBLE = frozenset("\u034f\u115f\u1160\u17b4\u17b5\u3164\uffa0")
"""Unicode calls them letters or marks, and they show as nothing or as a gap; variation selectors do too."""
_VARIATION_SELECTORS = (range(0x180B, 0x1810), range(0xFE00, 0xFE10), range(0xE0100, 0xE01F0))
_ACCENTS = (range(0x0300, 0x0370), range(0x1AB0, 0x1B00), range(0x1DC0, 0x1E00), range(0x20D0, 0x2100))

# Each pair: a letter, and the small Latin letter that it (or the capital that it looks like) is.
_CYRILLIC = (
    "аa вb гr еe зz кk мm нh оo пn рp сc тt уy хx ьb ѕs іi јj ԁd ԛq ԝw һh ӏl ѵv ѡw "
    "АA ВB ЕE ЗZ КK МM НH ОO РP СC ТT УY ХX ЬB ЅS ІI ЈJ ԌG ԚQ ԜW Ӏl ѴV"
)
_GREEK = "αa βb γy εe ηn ιi κk μu νv οo ρp σo τt υu χx ωw ϲc ϳj ΑA ΒB ΕE ΖZ ΗH ΙI ΚK ΜM ΝN ΟO ΡP ΤT ΥY ΧX ϹC ͿJ"
_OTHERS = (
    "օo ոn սu հh ցg զq յj Օo "  # Armenian
    "ᎪA ᏴB ᏟC ᎠD ᎬE ᎻH ᎫJ ᏦK ᏞL ᎷM ᎾO ᏢP ᏒR ᏚS ᎢT ᏙV ᎳW ᏃZ "  # Cherokee
    "ıi ɩi ɪi ɑa ᴀa ʙb ᴄc ᴅd ᴇe ɡg ʜh ᴊj ᴋk ʟl ᴍm ɴn ᴏo ᴘp ʀr ꜱs ᴛt ᴜu ᴠv ᴡw ʏy ᴢz "  # Latin, small capitals
    "øo đd łl ħh ŧt ƒf ØO ĐD ŁL ĦH ŦT 0o 1l Il"
)
_LOOKS = {ord(pair[0]): pair[1] for pair in f"{_CYRILLIC} {_GREEK} {_OTHERS}".split()}
_PAIRS_THAT_LOOK_LIKE_ONE = (("rn", "m"), ("vv", "w"))


def clean_name(name: str) -> str:
    """Return the one spelling of a name: NFKC, with single spaces between words and none at the ends.

    Raises:
        SettingError: It is empty or too long, does not begin with a letter or digit, or holds something besides
            letters and digits of any script, spaces and a little punctuation: markup, say, or what cannot be seen.
    """
    clean = " ".join(word for word in unicodedata.normalize("NFKC", name).split(" ") if word)
    if not clean:
        raise SettingError(f"A name must have 1 to {MAX_LENGTH} characters. Received none.")
    if len(clean) > MAX_LENGTH:
        raise SettingError(f"A name must have 1 to {MAX_LENGTH} characters. Received {len(clean)}.")
    if not clean[0].isalnum() or not all(_may_be_in_a_name(sign) for sign in clean):
        raise SettingError(
            "A name must begin with a letter or digit, and hold letters, digits, spaces and . ' @ - _ only. "
            f"Received {name!r}."
        )
    return clean


def look_alike(name: str, others: Iterable[str]) -> str | None:
    """Return the first of the other names that this one could be taken for, None if there is none."""
    looks = _skeletons(name)
    return next((other for other in others if looks & _skeletons(other)), None)


def _may_be_in_a_name(sign: str) -> bool:
    if sign in _INVISIBLE or _is_in(sign, _VARIATION_SELECTORS):
        return False
    return sign in _PUNCTUATION or unicodedata.category(sign)[0] in "LMN"


def _skeletons(name: str) -> frozenset[str]:
    """Return what a name looks like in small Latin letters: with its capitals as they are, and without any."""
    return frozenset((_skeleton(name), _skeleton(name.lower())))


def _skeleton(name: str) -> str:
    """Letters and digits only, without accents, each as the Latin letter that it looks like."""
    parts = unicodedata.normalize("NFKD", name)
    looks = "".join(sign for sign in parts if _tells_apart(sign)).translate(_LOOKS).casefold()
    for pair, one in _PAIRS_THAT_LOOK_LIKE_ONE:
        looks = looks.replace(pair, one)
    return looks


def _tells_apart(sign: str) -> bool:
    """Accents of Latin, Greek and Cyrillic do not; vowel signs of other scripts do."""
    if sign in _INVISIBLE or _is_in(sign, (*_ACCENTS, *_VARIATION_SELECTORS)):
        return False
    return unicodedata.category(sign)[0] in "LMN"


def _is_in(sign: str, ranges: Iterable[range]) -> bool:
    return any(ord(sign) in part for part in ranges)
