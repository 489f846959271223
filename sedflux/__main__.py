"""``python -m sedflux``."""

import sys

from sedflux.cli import main

sys.exit(main())
