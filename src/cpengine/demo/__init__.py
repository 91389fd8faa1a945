"""A synthetic Cell Painting plate and its pipelines, to try everything with."""
