"""Handlers that keep what Custom Vision holds: models, images, and what retention lets go."""
