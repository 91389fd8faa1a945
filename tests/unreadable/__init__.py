"""What cannot be read is named in a line, and never stops the rest."""
