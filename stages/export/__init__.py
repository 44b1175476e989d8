"""The export of a trained model as a stage."""
