"""Everything that sets up and drives a machine for this project.

`machine`, `environments`, `engine` and `base_images` run before anything is installed,
so they use the standard library only.
"""

import sys

if sys.version_info < (3, 11):
    raise SystemExit(f"Python 3.11 or newer is needed, this is {sys.version.split()[0]}.")
