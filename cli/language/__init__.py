"""`reactor language`: replicated Language projects from a terminal."""
