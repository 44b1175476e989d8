"""Look at the output of a run: inspect, verify, trace, sample, diff, domains."""
