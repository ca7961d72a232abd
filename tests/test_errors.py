import inspect

import pytest

from prefrl import errors

ERRORS = [
    error
    for _, error in inspect.getmembers(errors, inspect.isclass)
    if error.__module__ == errors.__name__ and error is not errors.PrefRLError
]


@pytest.mark.parametrize("error", ERRORS)
def test_every_error_is_ours_and_a_builtin(error: type[Exception]) -> None:
    """So that both `except PrefRLError` and `except ValueError` work, and no other `except` is met by chance."""
    assert issubclass(error, errors.PrefRLError)
    bases = [base for base in error.__mro__ if base.__module__ == "builtins"]
    assert len(bases) > len([*errors.PrefRLError.__mro__[1:]]), "there is a builtin besides Exception"
    assert error.__name__.endswith("Error")
    assert error.__doc__


@pytest.mark.parametrize("error", ERRORS)
def test_a_message_comes_back_as_it_was_given(error: type[Exception]) -> None:
    assert str(error("`x` must be 1.")) == "`x` must be 1."


@pytest.mark.parametrize(
    ("error", "builtin"),
    [
        (errors.SettingError, ValueError),
        (errors.SpaceError, TypeError),
        (errors.SegmentError, ValueError),
        (errors.NotEnoughExperienceError, RuntimeError),
        (errors.StoreError, RuntimeError),
        (errors.AnswerConflictError, errors.StoreError),
        (errors.RewardModelError, RuntimeError),
        (errors.RunError, RuntimeError),
        (errors.DeviceError, RuntimeError),
        (errors.MissingDependencyError, ImportError),
    ],
)
def test_errors_are_caught_as_what_they_are(error: type[Exception], builtin: type[Exception]) -> None:
    with pytest.raises(builtin, match="here"):
        raise error("here")
