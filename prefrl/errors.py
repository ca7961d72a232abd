"""Every error that prefrl raises for a mistake of the user's, or for a state of the world.

All derive from `PrefRLError`, and from the builtin that fits, so that both `except PrefRLError` and
`except ValueError` work. The command line turns each into one sentence and exit code 2.
"""


class PrefRLError(Exception):
    """Root of all errors that prefrl raises on purpose."""


class SettingError(PrefRLError, ValueError):
    """A setting or argument has a value that cannot be."""


class SpaceError(PrefRLError, TypeError):
    """An observation or action space is of a kind that no reward network reads."""


class FaultyEnvError(PrefRLError, RuntimeError):
    """An environment raised an error, or returned what gymnasium's interface or its own spaces do not allow."""


class SegmentError(PrefRLError, ValueError):
    """The arrays of a segment, query or comparison do not fit together."""


class NotEnoughExperienceError(PrefRLError, RuntimeError):
    """Segments were asked for before the recorder had seen enough steps to cut them from."""


class StoreError(PrefRLError, RuntimeError):
    """The store of queries and answers is unreadable, damaged, busy or full."""


class AnswerConflictError(StoreError):
    """An answer id came a second time with another content."""


class QueryTakenError(AnswerConflictError):
    """Somebody answered a query that others have answered or have in hand, without having been given it."""


class FitError(PrefRLError, ValueError):
    """Answers tell too little for a simulated teacher to be fitted to them."""


class RewardModelError(PrefRLError, RuntimeError):
    """A reward model on disk is missing, damaged, or made for other spaces."""


class RunError(PrefRLError, RuntimeError):
    """A run folder exists already, is no run, is in use, or its checkpoint is damaged."""


class InterruptedRunError(PrefRLError, RuntimeError):
    """The user stopped a run; everything is saved."""


class DeviceError(PrefRLError, RuntimeError):
    """A device was asked for that this machine does not have."""


class MissingDependencyError(PrefRLError, ImportError):
    """An optional package is needed; the message names the extra that brings it."""
