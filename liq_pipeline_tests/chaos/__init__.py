"""Kills, full disks and colliding runs, from outside, on the real commands: `make chaos`. No tests of pytest."""
