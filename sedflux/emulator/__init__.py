"""Emulators of synthetic libraries, and the label fit through them."""
