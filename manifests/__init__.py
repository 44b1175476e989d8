"""What was made, from what, and that nothing is lost: schema, shards, receipts, manifests, verify, report."""
