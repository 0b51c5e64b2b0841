"""The volunteer: this peer's slots, and the work that keepers give them."""
