"""What was run and what came of it: markers, records of runs, heartbeats."""
