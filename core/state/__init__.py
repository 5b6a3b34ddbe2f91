"""Workspaces and the store: every read and write of a fact."""
