"""What a peer keeps on its disk: keys, state, blobs, and the folder they lie in."""
