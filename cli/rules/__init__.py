"""`reactor rules …`: the rules file, checked, explained, tested and published."""
