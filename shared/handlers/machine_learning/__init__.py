"""Handlers of Azure Machine Learning: jobs, models, batch endpoints and online endpoints."""
