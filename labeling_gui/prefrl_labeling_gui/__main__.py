"""`python -m prefrl_labeling_gui RUN`: serve the labelling page of a run. `prefrl label` starts this.

Without `-P`, Python looks for modules in the working directory first, where a `secrets.py` of anybody's may lie; a
process that was started so starts itself again with `-P`, before it imports anything.
"""

import os
import sys

if __name__ == "__main__":
    if not sys.flags.safe_path:
        os.execv(sys.executable, [sys.executable, "-P", *sys.orig_argv[1:]])
    from prefrl_labeling_gui.command import main

    main()
