"""The command line of the labelling page."""

import sys
import traceback
from collections.abc import Sequence

import tyro

from prefrl.errors import PrefRLError
from prefrl_labeling_gui.settings import Settings, check_run

EXIT_USER_ERROR = 2


def main(argv: Sequence[str] | None = None) -> None:
    """Run the command line; exits with 2 for a mistake of the user's."""
    arguments = list(sys.argv[1:] if argv is None else argv)
    debug = "--debug" in arguments
    arguments = [argument for argument in arguments if argument != "--debug"]
    try:
        settings = tyro.cli(Settings, prog="prefrl label", args=arguments)
        check_run(settings.run)
        from prefrl_labeling_gui.server import serve  # so that --help, and what is no run, are answered at once

        serve(settings, _say)
    except (PrefRLError, OSError) as error:
        if debug:
            traceback.print_exc()
        sys.stderr.write(f"prefrl: {error}\n")
        sys.exit(EXIT_USER_ERROR)


def _say(line: str) -> None:
    sys.stdout.write(f"{line}\n")
    sys.stdout.flush()
