"""Handlers of Custom Vision: training, publishing, exporting, pruning and replicating."""
