"""Image-text corpora as rows of images and texts."""
