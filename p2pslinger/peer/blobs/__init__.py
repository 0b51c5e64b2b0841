"""Big data: what is here of it, what is fetched, what others are given."""
