"""How peers reach each other: sockets, and what is promised about them."""
