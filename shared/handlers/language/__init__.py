"""What is done with conversational Language projects: kept, brought to a second region, brought back."""
