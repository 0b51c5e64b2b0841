"""What a program touches: a Grid, its Futures and Jobs, over this machine's peer."""
