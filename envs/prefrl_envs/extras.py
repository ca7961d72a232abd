"""The optional packages: which of them is there, and the command that installs it."""

from dataclasses import dataclass
from importlib.metadata import PackageNotFoundError, version
from importlib.util import find_spec


@dataclass(frozen=True, slots=True, kw_only=True)
class Extra:
    """An optional package that an extra of ours brings."""

    name: str
    """Of the extra, as in `pip install 'prefrl[NAME]'`."""
    package: str
    """What it installs, by the name it has on PyPI."""
    module: str
    """What is imported from it."""
    purpose: str
    """What it is for, in a few words."""

    @property
    def is_installed(self) -> bool:
        """Whether the package can be found; it is not imported."""
        return find_spec(self.module) is not None

    @property
    def command(self) -> str:
        """The command that installs it."""
        return f"pip install 'prefrl[{self.name}]'"

    @property
    def version(self) -> str:
        """The version that is installed, "" where none is."""
        try:
            return version(self.package) if self.is_installed else ""
        except PackageNotFoundError:  # importable, but not by a package manager
            return "unknown version"


ATARI = Extra(name="atari", package="ale-py", module="ale_py", purpose="Atari games")
DMC = Extra(name="dmc", package="dm_control", module="dm_control", purpose="DeepMind Control tasks")
FAST = Extra(name="fast", package="envpool", module="envpool", purpose="fast stepping of MuJoCo tasks")

EXTRAS: tuple[Extra, ...] = (ATARI, DMC, FAST)
"""Every optional package that tasks or their stepping can use."""
