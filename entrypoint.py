"""Entry point of the container: the real world, handed to the program."""

import os
import sys

from deploy_action import app, outside

if __name__ == "__main__":
    sys.exit(app.main(os.environ, outside.real(os.environ), sys.stdout))
