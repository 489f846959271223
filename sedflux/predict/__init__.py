"""From a spectrum to its SED."""
