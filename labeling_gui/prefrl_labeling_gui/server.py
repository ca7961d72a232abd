"""A labelling server as a process: its folder in the run, its lock, its socket, its start and its end.

labeling/                   readable by this user only
labeling/lock               held while a server runs
labeling/secret             signs the cookies
labeling/used-tickets       hashes of the owner's one-time links that were used
labeling/open.html          leads the owner's browser in, where it was opened by `--open-browser`
labeling/port               where the page was last
labeling/server.json        where the running server is; without any token
labeling/server.log         a line per stored answer, and what went wrong
labeling/clips/             drawn clips
"""

import errno
import fcntl
import logging
import os
import secrets
import socket
import time
import webbrowser
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path
from types import FrameType

import uvicorn

from prefrl.errors import RunError, SettingError
from prefrl.files import read_json, write_json, write_whole
from prefrl.store import Store
from prefrl_labeling_gui.app import create_app
from prefrl_labeling_gui.connections import TimedConnection
from prefrl_labeling_gui.context import LOG, ServerContext
from prefrl_labeling_gui.people import new_ticket
from prefrl_labeling_gui.plain_page import plain_page
from prefrl_labeling_gui.settings import Settings, check_run

GRACE_SECONDS = 3
"""What requests get to finish when the server stops."""
_PRIVATE_FOLDER, _PRIVATE_FILE = 0o700, 0o600


def serve(settings: Settings, say: Callable[[str], None]) -> None:
    """Serve the labelling page of a run until SIGINT or SIGTERM; where it is served already, tell how to get in.

    Args:
        settings: What to serve, and how.
        say: Shows the one line that tells where the page is.

    Raises:
        RunError: There is no run, or its folder cannot be written.
        SettingError: The port or the address cannot be used.
        StoreError: The store is damaged, newer than this code, or out of reach.
    """
    check_run(settings.run)
    with ExitStack() as stack:
        folder = stack.enter_context(own_folder(settings.run))
        if folder is None:
            say(_way_into_other_server(settings.run))
            return
        store = stack.enter_context(Store(settings.run))
        listener = stack.enter_context(listening_socket(settings, folder))
        stack.enter_context(log_file(folder / "server.log"))
        context = ServerContext(store, settings, secret_of(folder))
        stack.callback(context.close)
        token = context.open()
        port = listener.getsockname()[1]
        url = f"http://{settings.public_host}:{port}"
        stack.enter_context(announced(folder / "server.json", url, port))
        server = Server(context)
        listener.listen()  # who opens the page at once waits a moment, and is not turned away
        say(_invitation(url, token))
        if settings.open_browser:
            webbrowser.open(stack.enter_context(private_link(folder / "open.html", f"{url}/?token={token}")))
        server.run(sockets=[listener])


class Server(uvicorn.Server):
    """Serves in this thread until it is told to stop, and then ends without an error.

    Args:
        context: What is served.
    """

    def __init__(self, context: ServerContext) -> None:
        self._streams = context.streams
        super().__init__(
            uvicorn.Config(
                create_app(context),
                http=TimedConnection,
                ws="none",
                access_log=False,
                log_config=None,
                server_header=False,
                forwarded_allow_ips=list(context.settings.trusted_proxy),  # none of whom uvicorn trusts by itself
                timeout_graceful_shutdown=GRACE_SECONDS,
            )
        )

    def handle_exit(self, sig: int, frame: FrameType | None) -> None:
        """End the streams, then the server; at the second signal, without waiting."""
        self._streams.closing = True
        self.force_exit = self.should_exit
        self.should_exit = True


@contextmanager
def own_folder(run: Path) -> Iterator[Path | None]:
    """Make the server's folder in a run and hold it; the system lets go of it when the process dies.

    Gives None where another server holds it.

    Raises:
        RunError: It cannot be written.
    """
    folder = run / "labeling"
    try:
        folder.mkdir(mode=_PRIVATE_FOLDER, exist_ok=True)
        folder.chmod(_PRIVATE_FOLDER)
        file = os.fdopen(os.open(folder / "lock", os.O_RDWR | os.O_CREAT, _PRIVATE_FILE), "r+")
    except OSError as error:
        raise RunError(f"The folder {folder} cannot be written: {error}.") from error
    with file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            yield None
        else:
            yield folder


def secret_of(folder: Path) -> str:
    """Return the secret of a run, made when it is first served; it stays, so that sessions outlive a restart.

    Raises:
        RunError: The file is damaged.
    """
    path = folder / "secret"
    if not path.exists():
        write_whole(path, secrets.token_hex(32), mode=_PRIVATE_FILE)
    path.chmod(_PRIVATE_FILE)
    secret = path.read_text().strip()
    if len(secret) < 64:
        raise RunError(f"{path} is damaged; delete it, and everybody needs a new link.")
    return secret


def bound_socket(host: str, port: int) -> socket.socket:
    """Return a socket bound to an address, so that a port in use is known before anything else starts.

    Raises:
        SettingError: The address or the port cannot be used.
    """
    bare = host.strip("[]")
    # asyncio turns Nagle's delay (40 ms a reply) off only where the protocol is spelt out.
    family = socket.AF_INET6 if ":" in bare else socket.AF_INET
    listener = socket.socket(family, socket.SOCK_STREAM, socket.IPPROTO_TCP)
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        listener.bind((bare, port))
    except OSError as error:
        listener.close()
        if error.errno == errno.EADDRINUSE:
            raise SettingError(
                f"Port {port} is in use; choose another with --port, or --port 0 for any that is free."
            ) from error
        raise SettingError(f"Cannot listen at {host}, port {port}: {error.strerror}.") from error
    return listener


@contextmanager
def private_link(path: Path, url: str) -> Iterator[str]:
    """Write a page that leads to an address, and give where it is; gone at the end.

    What a browser is started with is seen by everybody on the machine (`ps`), so the address, which holds a token,
    must not be among it. The page's folder can be read by this user only.
    """
    write_whole(path, plain_page("Labelling", "The labelling page opens.", onward=url), mode=_PRIVATE_FILE)
    yield path.resolve().as_uri()
    path.unlink(missing_ok=True)


@contextmanager
def announced(path: Path, url: str, port: int) -> Iterator[None]:
    """Write where the server is while it runs, for this user's other programs."""
    write_json(path, {"url": url, "pid": os.getpid(), "port": port}, mode=_PRIVATE_FILE)
    yield
    path.unlink(missing_ok=True)


@contextmanager
def log_file(path: Path) -> Iterator[None]:
    """Have everything that is logged go to a file, which grows from start to start."""
    path.touch(mode=_PRIVATE_FILE)
    handler = logging.FileHandler(path)
    formatter = logging.Formatter("%(asctime)s.%(msecs)03dZ %(levelname)s %(message)s", "%Y-%m-%dT%H:%M:%S")
    formatter.converter = time.gmtime
    handler.setFormatter(formatter)
    loggers = (LOG, logging.getLogger("uvicorn"))
    levels = [logger.level for logger in loggers]
    for logger in loggers:
        logger.addHandler(handler)
    LOG.setLevel(logging.INFO)
    logging.getLogger("uvicorn").setLevel(logging.WARNING)
    try:
        yield
    finally:
        for logger, level in zip(loggers, levels, strict=True):
            logger.removeHandler(handler)
            logger.setLevel(level)
        handler.close()


def listening_socket(settings: Settings, folder: Path) -> socket.socket:
    """Return a bound socket. Where any port will do it is the run's last one, if that is free.

    Open tabs and links that were sent around then find the page again.

    Raises:
        SettingError: The address or the port cannot be used.
    """
    path = folder / "port"
    listener: socket.socket | None = None
    if settings.port == 0 and path.exists():
        with suppress(SettingError, ValueError):
            listener = bound_socket(settings.host, int(path.read_text()))
    if listener is None:
        listener = bound_socket(settings.host, settings.port)
    write_whole(path, str(listener.getsockname()[1]), mode=_PRIVATE_FILE)
    return listener


def _invitation(url: str, token: str) -> str:
    return f"Label at {url}/?token={token} (works once; your browser then stays signed in)"


def _way_into_other_server(run: Path) -> str:
    """Return an invitation to the server that has the run already.

    Raises:
        RunError: It has not said yet where it is.
    """
    folder = run / "labeling"
    try:
        other = read_json(folder / "server.json")
        url, pid = other["url"], other["pid"]
    except (RunError, KeyError) as error:
        raise RunError(f"Another process begins to serve {run}; try again in a moment.") from error
    ticket = new_ticket(secret_of(folder))
    return f"{_invitation(url, ticket)}; process {pid} serves it, `kill {pid}` ends that"
