"""Jobs on the workers of a Dask scheduler that are jobs of a cluster."""
