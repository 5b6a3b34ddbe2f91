"""What was found out about a latent space, read back for pages: one module a question."""
