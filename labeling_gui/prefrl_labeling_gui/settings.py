"""How a labelling page is served: what the command line sets."""

import ipaddress
import re
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

import tyro

from prefrl.errors import RunError, SettingError
from prefrl_envs.clips import DEFAULT_SIZE, Codec

LOOPBACK_NAMES = ("127.0.0.1", "localhost", "[::1]")
_NAME = re.compile(r"[A-Za-z0-9]([A-Za-z0-9.-]*[A-Za-z0-9])?|\[[0-9A-Fa-f:.]+\]")
_RANGES = {
    "port": (0, 65535),
    "clip_size": (64, 2048),
    "least_look": (0, 10),
    "repeat_share": (0, 0.5),
    "lease_minutes": (0.1, 60 * 24 * 7),
}


@dataclass(frozen=True, kw_only=True)
class Settings:
    """Serve the labelling page of a run, whether it trains now or is over.

    Raises:
        SettingError: A value is out of range, or others may come in without being told by which name.
    """

    run: Annotated[Path, tyro.conf.Positional, tyro.conf.arg(metavar="RUN")]
    """Folder of the run."""
    host: str = "127.0.0.1"
    """Address to listen at; any but this machine's own needs --allow-host."""
    port: int = 8000
    """Port to listen at; 0 takes a free one."""
    question: str | None = None
    """What people are asked about the clips; by default what the run was started with."""
    examples: Path | None = None
    """Folder with good.mp4, bad.mp4 and tricky.mp4, any of them, that people see before the first clips and in the
    help, sentences.json that says what each shows, and practice/1.mp4 to 6.mp4, from the worst to the best, to
    practise on; by default those of the task, where it has some."""
    least_look: float = 0.25
    """Seconds that all clips must have played before they can be compared."""
    repeat_share: float = 0.05
    """Share of the answered pairs that the same person is asked again, unnoticed, with the sides swapped."""
    lease_minutes: float = 10.0
    """How long a pair stays with the person who was given it before somebody else may get it."""
    show_predictions: bool = False
    """Show what the reward model thinks of a pair, once it is answered."""
    clip_size: int = DEFAULT_SIZE
    """Width and height at which clips are drawn, in pixels; fewer take less time and a slower network."""
    codec: Codec = "h264"
    """Of the clips: h264 plays in every browser, vp9 needs no licence."""
    allow_host: tuple[str, ...] = ()
    """Names by which browsers reach this server, such as lab.example.org."""
    open_browser: bool = False
    """Open the page in this machine's browser."""
    trusted_proxy: tuple[str, ...] = ()
    """Addresses or networks of HTTPS servers in front of this one, whose X-Forwarded headers are believed."""
    trust_env: str | None = None
    """Environment of a module of your own, such as my_pkg:MyEnv-v0, that may be imported to draw this run's clips
    although the run's own config.json does not name it."""

    def __post_init__(self) -> None:
        """Check the values."""
        for name, (low, high) in _RANGES.items():
            if not low <= getattr(self, name) <= high:
                raise SettingError(f"`{name}` must be between {low} and {high}. Received {getattr(self, name)}.")
        for proxy in self.trusted_proxy:
            try:
                ipaddress.ip_network(proxy)
            except ValueError as error:
                raise SettingError(
                    f"`trusted_proxy` takes addresses such as 127.0.0.1 and networks such as 10.0.0.0/24. "
                    f"Received {proxy!r}."
                ) from error
        for name in self.allow_host:
            if not _NAME.fullmatch(name):
                raise SettingError(f"`allow_host` takes names without scheme and port. Received {name!r}.")
        if not self.is_local and not self.allow_host:
            raise SettingError(
                f"--host {self.host} lets other machines in; say by which name they may reach this one: "
                "--allow-host NAME."
            )

    @property
    def is_local(self) -> bool:
        """Whether this machine alone can reach the page."""
        if self.host == "localhost":
            return True
        try:
            return ipaddress.ip_address(self.host.strip("[]")).is_loopback
        except ValueError:
            return False

    @property
    def allowed_hosts(self) -> tuple[str, ...]:
        """Values of the Host header that are answered, ports left out."""
        return (*LOOPBACK_NAMES, *self.allow_host)

    @property
    def public_host(self) -> str:
        """Name by which this server is reached, fit for an address."""
        if not self.is_local:
            return self.allow_host[0]
        return f"[{self.host}]" if ":" in self.host else self.host


def check_run(run: Path) -> None:
    """Refuse a folder that holds no run.

    Raises:
        RunError: There is none.
    """
    if not any((run / name).is_file() for name in ("config.json", "store.sqlite")):
        raise RunError(f"{run} is no run: it has no config.json; give the folder that `prefrl train` made.")
