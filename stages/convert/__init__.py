"""Write packed tokens and documents in the formats of other tools."""
