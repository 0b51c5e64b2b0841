"""Programs of this machine, and the throw-away jobs that they submit."""
