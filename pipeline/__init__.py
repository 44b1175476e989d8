"""Recipes, plans and runners: what is run in which order, where, and what is done already."""
