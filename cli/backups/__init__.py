"""`reactor backups …`: what is kept of Custom Vision."""
