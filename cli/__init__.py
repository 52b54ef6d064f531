"""The operator's command, `reactor`: a thin face over `shared`."""
