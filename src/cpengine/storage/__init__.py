"""Files, wherever they are: file systems, a project's roots, the cache."""
