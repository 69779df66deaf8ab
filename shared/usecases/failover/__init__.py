"""Two region masters: watched, judged, moved, and never two active."""
