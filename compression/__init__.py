"""Make a trained hybrid smaller: what counts in it, which sizes fit, prune, distil."""
