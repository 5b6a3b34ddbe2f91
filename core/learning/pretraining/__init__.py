"""How the bundled backbone is trained, on generated pictures alone; `make backbone` does it."""
