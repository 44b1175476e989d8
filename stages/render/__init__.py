"""Page images of documents, with the text that stands on them."""
