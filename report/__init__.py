"""`corpusmill report`: one HTML page about a run, for deciders and for operators."""
