"""What a peer decides: state machines and functions without clock, chance or I/O."""
