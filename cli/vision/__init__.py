"""`reactor vision …`: Custom Vision from a terminal."""
