"""``python -m sedflux``."""

import sys

from sedflux.cli.main import main

sys.exit(main())
