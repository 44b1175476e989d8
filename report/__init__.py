"""`corpusmill report`: one HTML page about a run, for who decides and for who looks after it."""
