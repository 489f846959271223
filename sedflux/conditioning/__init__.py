"""SEDs of lines conditioned on photometry: scale, dust and SED at once, and zero points."""
