"""Jobs that outlive their program and this peer: kept by several peers, on disk."""
