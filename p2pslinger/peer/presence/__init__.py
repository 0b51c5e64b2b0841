"""Who and where this peer is, as far as it can find out."""
