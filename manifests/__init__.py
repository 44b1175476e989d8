"""Records of what a run made and from what: schema, shards, receipts, manifests, verify, report."""
