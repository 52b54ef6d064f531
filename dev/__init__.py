"""Development only: the local stack, its host and simulators, the demo."""
