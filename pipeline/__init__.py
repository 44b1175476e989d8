"""Recipes, plans and runners: what runs, in which order, where, and what is done already."""
