"""SEDs from lines and photometry: scale, dust and SED fitted at once; and zero points of bands."""
