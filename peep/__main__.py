"""`python -m peep` is `peep`."""

import sys

from peep.cli.main import main

if __name__ == "__main__":
    sys.exit(main())
