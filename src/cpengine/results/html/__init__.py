"""What all pages share: one style, one heatmap, one frame with links between them."""
