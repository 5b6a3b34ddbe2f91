"""Images: read, import, generate, thumbnail and judge them."""
