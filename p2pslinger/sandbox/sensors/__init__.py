"""What the machine's owner is doing with it: power, input, other programs."""
