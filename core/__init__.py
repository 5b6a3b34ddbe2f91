"""Lacquer: find, explain and triage surface defects through a network's latent space."""
