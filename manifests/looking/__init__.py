"""Look at what was made: inspect, verify, trace, report."""
