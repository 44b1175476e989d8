"""`corpusmill link`: pairs of documents of which one links to the other."""
