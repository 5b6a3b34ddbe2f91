"""The latent space: embed, project, cluster, search."""
