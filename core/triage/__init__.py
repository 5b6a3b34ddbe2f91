"""Triage: which images are labelled automatically, and which go to people."""
