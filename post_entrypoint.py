#!/usr/bin/env python3
"""Entry point of the post step: the runner starts it always, in a container of its own."""

import os
import sys

from deploy_action import app, outside

if __name__ == "__main__":
    sys.exit(app.post(os.environ, outside.real(os.environ), sys.stdout))
