"""Slitless instruments: throughput, line-spread function, forward model of counts."""
