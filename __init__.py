"""corpusmill: from web crawl to a trained hybrid language model."""
