"""Formats of image sets: what is read on import and written on export, one module a format."""
