"""`reactor ml …`: Azure Machine Learning from a terminal."""
