"""Other libraries' ways to call a grid, so that code written for them runs on one."""
