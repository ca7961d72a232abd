"""The errors of this package that are not mistakes in an argument."""


class RenderingUnavailableError(RuntimeError):
    """This machine cannot draw MuJoCo off-screen; the message says what to install."""
